"""What a model file may hold."""

from __future__ import annotations

MIB = 1 << 20


# The largest application of Keras has a config of 3 MB; its nesting is below 20.
MAX_JSON_BYTES = 128 * MIB


MAX_JSON_DEPTH = 200


MAX_JSON_VALUES = 5_000_000


MAX_MEMBERS = 20_000


MAX_OBJECTS = 500_000


# TensorFlow.js cuts weights into files of 4 MB.
MAX_SHARDS = 20_000


MAX_GROUP_DEPTH = 64


# Deflate cannot exceed 1032:1, and weights do not come near: a member that unpacks to more than
# this, both absolutely and relative to the file, is a bomb.
BOMB_BYTES = 256 * MIB


BOMB_RATIO = 100


# gzip, shuffle, fletcher32, szip, nbit, scaleoffset and lzf: what HDF5 and h5py bring along. For
# any other, HDF5 loads a library from a folder.
FILTERS = frozenset({1, 2, 3, 4, 5, 6, 32000})
