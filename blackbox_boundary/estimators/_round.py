"""Prototype: rounds of many facets."""
from __future__ import annotations
import numpy as np
from ..search.geometry import nearest
from ._blocks import Beliefs, BLOCK, OCT
import scipy

def pad(c, B, b):
    out = np.zeros((*c.shape[:-1], B * b)); out[..., : c.shape[-1]] = c
    return out.reshape(*c.shape[:-1], B, b)

class Stack:
    def __init__(s, basis, starts, down, up, streams, opt):
        s.basis, s.down, s.up, s.streams, s.o = basis, down, up, streams, opt
        k = basis.size; n = len(starts)
        s.b = min(opt.block, k); s.B = -(-k // s.b)
        s.best = starts.copy(); s.n = n
        var = np.broadcast_to(pad(basis.variance, s.B, s.b), (n, s.B, s.b)).copy()
        P = s.an(starts)
        tau = 1 / np.maximum((P * P * var).sum((-1, -2)), 1e-30)
        var *= tau[:, None, None]
        cov = np.zeros((n, s.B, s.b, s.b), np.float32)
        np.einsum("nbii->nbi", cov)[...] = var
        s.bel = Beliefs(np.zeros((n, s.B, s.b)), cov, np.zeros((n, s.B)), np.zeros((n, s.B)), np.broadcast_to(s.kernel(), (n, s.B, s.B)).copy(), var)
        s.trust = np.full(n, 0.7); s.gap = np.full(n, .01); s.centre = starts.copy()
        s.log = []
    def an(s, x):
        return pad(s.basis.analyse(x.reshape(-1, x.shape[-1])), s.B, s.b).reshape(*x.shape[:-1], s.B, s.b)
    def syn(s, c):
        c = c.reshape(*c.shape[:-2], -1)[..., : s.basis.size]
        return s.basis.synthesise(c.reshape(-1, c.shape[-1])).reshape(*c.shape[:-1], -1)
    def clip(s, x):
        return np.clip(x, s.down[:, None], s.up[:, None]) if x.ndim == 3 else np.clip(x, s.down, s.up)

    def round(s):
        o, bel, n = s.o, s.bel, s.n
        p = s.best; L = np.linalg.norm(p, axis=-1)
        P = s.an(p)
        known = bel.at(P)
        w = s.syn(bel.mean)
        w0 = p / (L * L)[:, None]
        t = np.linalg.norm(w - w0, axis=-1) * L
        lo, hi = np.zeros(n), np.full(n, np.pi / 2)
        s_lo, s_hi = p.copy(), np.zeros_like(p)
        l_lo, l_hi = L.copy(), np.zeros(n)
        psi = np.arctan(s.trust * t)
        sig = s.signal()
        act = (t > .03)
        asked = np.zeros(n, int)
        for it in range(o.walk):
            if not act.any(): break
            alpha = np.tan(psi) / np.maximum(t, 1e-30)
            wa = w0 + alpha[:, None] * (w - w0)
            cand = nearest(-wa, s.down, s.up, np.ones(n), "l2")
            i = np.flatnonzero(act)
            moved, fl = yield i, cand[i]
            asked[i] += 1
            ll = np.linalg.norm(moved, axis=-1)
            f, k = i[fl], i[~fl]
            lo[f], s_lo[f], l_lo[f] = psi[f], moved[fl], ll[fl]
            hi[k], s_hi[k], l_hi[k] = psi[k], moved[~fl], ll[~fl]
            openhi = hi >= np.pi / 2; openlo = lo == 0
            psi = np.where(openhi, np.arctan(2 * np.tan(psi)), np.where(openlo, np.arctan(.4 * np.tan(psi)), (lo + hi) / 2))
            gap = (l_lo - l_hi) / l_lo
            act &= gap > np.maximum(o.tol * sig, 1e-3)
        moved_ = lo > 0
        better = l_lo < L
        best = np.where((moved_ & better)[:, None], s_lo, p)
        alpha = np.tan((lo + np.where(hi < np.pi / 2, hi, lo)) / 2) / np.maximum(t, 1e-30)
        upd = (asked > 0)
        s.trust = np.where(upd, np.clip(np.sqrt(s.trust * np.maximum(alpha, .02)), .05, 1.5), s.trust)
        mid = np.where((moved_ & (l_hi > 0))[:, None], (s_lo + s_hi) / 2, best)
        if o.passes: bel.pass_through(np.where(upd[:, None, None], s.an(mid), P), known, o.walk_noise)
        turn = np.minimum(np.linalg.norm(best - p, axis=-1) / np.linalg.norm(best, axis=-1), 1)
        s.best = best
        s.centre = mid
        s.gap = np.where(l_hi > 0, (l_lo - l_hi) / l_lo, s.gap)
        bel.loosen(o.forget * turn)
        if o.decay: 
            bel.mean *= (1 - o.decay * turn)[:, None, None]
        s.log.append((L.mean(), t.mean(), np.median(alpha), asked.mean()))
        yield from s.probe()

    def signal(s):
        """typical |z| of a probe"""
        L = np.linalg.norm(s.best, axis=-1)
        return s.o.radius * L * np.sqrt(np.maximum(s.bel.loose.mean((-1,-2)), 0))

    def probe(s):
        o, bel, n = s.o, s.bel, s.n
        L = np.linalg.norm(s.best, axis=-1)
        P = s.an(s.centre); known = bel.at(P)
        m = o.probes
        q = min(s.B, o.nblocks); per = m // q
        diag = np.einsum("nbii->nbi", bel.cov).astype(float)
        # score of blocks
        score = np.maximum(diag, 0).mean(-1) * (s.b / np.maximum((bel.loose > 0).sum(-1), 1))
        noise = np.stack([r.standard_normal((s.B)) for r in s.streams])
        sd = np.sqrt(np.maximum(np.einsum('nbb->nb', bel.lcov), 0))
        score = score * 4.0 ** (o.thompson * sd * noise)
        pick = np.argsort(-score, axis=-1, kind="stable")[:, :q]  # n q
        ar = np.arange(n)[:, None]
        C = bel.cov[ar, pick]  # n q b b
        dev = np.sqrt(np.maximum(np.maximum(diag[ar, pick], 1e-6 * diag[ar, pick].max(-1, keepdims=True)), 1e-30))
        x = np.stack([r.standard_normal((q, per, s.b)) for r in s.streams])
        dirs = ((x / dev[:, :, None]).astype(np.float32) @ C).astype(float)
        dirs /= np.maximum(np.linalg.norm(dirs, axis=-1, keepdims=True), 1e-30)
        # variances along
        vd = ((dirs.astype(np.float32) @ C) * dirs).sum(-1)
        comp = np.zeros((n, q, per, s.B, s.b))
        comp[ar, np.arange(q)[None], :, pick] = dirs
        comp = comp.reshape(n, q * per, s.B, s.b)
        rad = o.radius * L
        aside = rad[:, None, None] * s.syn(comp)
        sdz = rad[:, None] * np.sqrt(np.maximum(vd.reshape(n, -1), 0))
        off = np.zeros((n, q * per))
        third = (np.arange(q * per) % o.every == 0)
        sg = np.where((np.arange(q * per) // o.every) % 2 == 0, 1.0, -1.0)
        off[:, third] = o.c * sdz[:, third] * sg[third]
        w = s.syn(bel.mean)
        scale = np.ones((n, q * per))
        for _ in range(4):
            pt = s.clip(scale[..., None] * s.centre[:, None] + aside)
            scale = np.clip(scale - ((pt @ w[:, :, None])[..., 0] - 1 - off), .1, 4.)
        pt = s.clip(scale[..., None] * s.centre[:, None] + aside)
        mm = q * per
        moved, fl = yield np.repeat(np.arange(n), mm), pt.reshape(n * mm, -1)
        moved = moved.reshape(n, mm, -1); fl = fl.reshape(n, mm)
        a = s.an(moved)
        # evidence for scales
        side = np.where(fl, 1., -1.)
        base = o.noise * rad * np.sqrt(np.maximum(bel.loose.mean((-1,-2)), 0)) * 1.0
        nz = np.maximum(o.noise_abs * o.radius, base)[:, None] * np.ones((n, mm))
        blk = np.repeat(pick, per, axis=1)  # n mm
        if o.learn:
            cz = (a * bel.mean[:, None]).sum((-1, -2)) - 1
            own = (rad[:, None, None, None] * comp * bel.mean[:, None]).sum((-1, -2))
            for g in range(q):
                sl = slice(g * per, (g + 1) * per)
                sdl = np.sqrt(np.maximum(bel.lcov[np.arange(n), pick[:, g], pick[:, g]], 1e-6))
                f = 2.0 ** (bel.lmean[np.arange(n), pick[:, g]] - bel.scale[np.arange(n), pick[:, g]])[:, None] * 2.0 ** (OCT * sdl[:, None])
                f = f[:, None]
                zz = cz[:, sl, None] + (f - 1) * own[:, sl, None]
                vv = (f * sdz[:, sl, None]) ** 2 + nz[:, sl, None] ** 2 + (.3 * s.gap[:, None, None]) ** 2
                bel.learn(pick[:, g], scipy.special.log_ndtr(side[:, sl, None] * zz / np.sqrt(vv)).sum(1))
        bel.see(a, fl, np.ones((n, mm), bool), known, nz, s.gap * .3)
        if o.learn: bel.rescale()
    def kernel(s):
        o = s.o
        i = np.arange(s.B); per = s.B // 3 if s.B % 3 == 0 and o.colours else s.B
        col, fr = i // per, i % per
        x = np.linspace(-1, 1, per)[fr] if per > 1 else np.zeros(s.B)
        same = col[:, None] == col[None]
        return o.sg**2 + o.ss**2 * x[:, None] * x[None] + o.sc**2 * same + o.sl**2 * same * np.exp(-np.abs(fr[:, None] - fr[None]) / o.near)
