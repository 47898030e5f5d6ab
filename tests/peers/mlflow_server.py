"""Save a model and serve it as ``mlflow models serve``, in MLflow's environment.

Run: ``python mlflow_server.py PORT FOLDER``.
"""

import os
import sys
from pathlib import Path

import mlflow
import numpy as np
import toy_model
import uvicorn
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec


class Toy(mlflow.pyfunc.PythonModel):
    """The classifier of ``toy_model``."""

    def predict(self, context, model_input, params=None):
        """Scores (n, 5)."""
        del context, params
        return toy_model.probabilities_of(np.asarray(model_input))


if __name__ == "__main__":
    port, folder = int(sys.argv[1]), Path(sys.argv[2], "model")
    tensors = [
        TensorSpec(np.dtype(np.float32), (-1, *shape))
        for shape in (toy_model.SHAPE, (toy_model.N_CLASSES,))
    ]
    signature = ModelSignature(inputs=Schema(tensors[:1]), outputs=Schema(tensors[1:]))
    mlflow.pyfunc.save_model(folder, python_model=Toy(), signature=signature, pip_requirements=[])
    os.environ["__pyfunc_model_path__"] = str(folder)  # noqa: SIM112 - MLflow's own name
    uvicorn.run(
        "mlflow.pyfunc.scoring_server.app:app", host="127.0.0.1", port=port, log_level="warning"
    )
