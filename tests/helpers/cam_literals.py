"""The CAM formulae written out in numpy, one channel and one position at a time.

``A`` is ``(h, w, K)``, ``G = ∂S/∂A`` the same; in float64.
"""

import numpy as np


def relu(x):
    return np.maximum(x, 0)


def combine(weights, A):
    total = np.zeros(A.shape[:2])
    for k in range(A.shape[2]):
        total += weights[k] * A[:, :, k]
    return total


def gradcam(A, G):
    h, w, K = A.shape
    alpha = [sum(G[i, j, k] for i in range(h) for j in range(w)) / (h * w) for k in range(K)]
    return relu(combine(alpha, A))


def _alphas(A, G):
    alphas = np.zeros_like(G)
    for k in range(A.shape[2]):
        total = A[:, :, k].sum()
        for i in range(A.shape[0]):
            for j in range(A.shape[1]):
                g = G[i, j, k]
                below = 2 * g**2 + total * g**3
                alphas[i, j, k] = g**2 / below if below != 0 else g**2
    return alphas


def gradcam_plus_plus(A, G):
    alphas = _alphas(A, G)
    weights = [(alphas[:, :, k] * relu(G[:, :, k])).sum() for k in range(A.shape[2])]
    return relu(combine(weights, A))


def gradcam_plus_plus_norm(A, G):
    alphas = _alphas(A, G)
    weights = []
    for k in range(A.shape[2]):
        norm = alphas[:, :, k].sum()
        weights.append((alphas[:, :, k] / (norm or 1) * relu(G[:, :, k])).sum())
    return relu(combine(weights, A))


def xgradcam(A, G):
    weights = []
    for k in range(A.shape[2]):
        total = A[:, :, k].sum()
        weights.append((A[:, :, k] / (total or 1) * G[:, :, k]).sum())
    return relu(combine(weights, A))


def hirescam(A, G):
    return relu(sum(G[:, :, k] * A[:, :, k] for k in range(A.shape[2])))


def layercam(A, G):
    return relu(sum(relu(G[:, :, k]) * A[:, :, k] for k in range(A.shape[2])))


def elementwise(A, G):
    return sum(relu(G[:, :, k] * A[:, :, k]) for k in range(A.shape[2]))


def _projection(W):
    flat = W.reshape(-1, W.shape[2])
    _, _, vt = np.linalg.svd(flat, full_matrices=False)
    return (flat @ vt[0]).reshape(W.shape[:2])


def eigencam(A, G):
    projection = _projection(A)
    positive, negative = (relu(projection) ** 2).sum(), (relu(-projection) ** 2).sum()
    return relu(projection if positive >= negative else -projection)


def eigen_of_contributions(W):
    projection = _projection(W)
    return relu(projection * np.sign((projection * W.sum(axis=2)).sum()))


def eigengradcam(A, G):
    return eigen_of_contributions(G * A)


LITERALS = {
    "gradcam": gradcam,
    "gradcam++": gradcam_plus_plus,
    "gradcam++norm": gradcam_plus_plus_norm,
    "xgradcam": xgradcam,
    "hirescam": hirescam,
    "layercam": layercam,
    "elementwise": elementwise,
    "eigencam": eigencam,
    "eigengradcam": eigengradcam,
}
