"""One measurement in many processes: shards are the work, schedulers decide where it is done."""
