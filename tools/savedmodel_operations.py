"""Write ``savedmodel_operations.txt`` from TensorFlow's own registry of operations.

Run it after a new TensorFlow: ``python tools/savedmodel_operations.py``, and read the
difference. Taken is what the registry calls not stateful, without what is excluded below, and the
reviewed list of stateful operations.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "kvis_cli" / "data" / "savedmodel_operations.txt"

# Not stateful for TensorFlow, and yet they touch files (some name a file in an attribute), talk to
# other processes, run Python, end the process, or belong to datasets, debuggers and TPUs.
EXCLUDED = re.compile(
    r"^_|Dataset|Debug|^Xla|TPU|Tpu|Infeed|^DTensor|^Relayout|CopyToMesh|^Collective|^Reader|Queue"
    r"|^(Abort|Copy|CopyHost|DecodeProtoV2|EncodeProto|GenerateVocabRemapping|ImmutableConst"
    r"|InitializeTableFromTextFile|MatchingFiles|MlirPassthroughOp|PyFuncStateless|ReadFile"
    r"|ShardedFilespec|BatchFunction|GetDeadline|GetElementAtIndex|GetOptions)$"
)
# An argument or attribute of such a name says the same of operations that are new.
FILE_ARGUMENT = re.compile(r"file|path$|^dir$|directory|address|url|host|token$|library")
FINE_ALL_THE_SAME = frozenset({"ShardedFilename", "GuaranteeConst"})

# Stateful, since they hold or change variables, tables and generators of the model itself, draw
# random numbers, call functions of the graph, or stop with an error.
STATEFUL = """
AnonymousHashTable AnonymousMutableDenseHashTable AnonymousMutableHashTable
AnonymousMutableHashTableOfTensors AnonymousRandomSeedGenerator AnonymousSeedGenerator Assert
AssignAddVariableOp AssignSubVariableOp AssignVariableOp Case CheckNumerics CheckNumericsV2
CudnnRNN CudnnRNNBackprop CudnnRNNBackpropV2 CudnnRNNBackpropV3 CudnnRNNV2 CudnnRNNV3 DeepCopy
DestroyResourceOp DeviceIndex DisableCopyOnRead DummySeedGenerator Empty GuaranteeConst HashTable
HashTableV2 If InitializeTableV2 IsResourceHandleRefCounting LookupTableExportV2 LookupTableFindV2
LookupTableImportV2 LookupTableInsertV2 LookupTableRemoveV2 LookupTableSizeV2 Multinomial
MutableDenseHashTable MutableDenseHashTableV2 MutableHashTable MutableHashTableOfTensors
MutableHashTableOfTensorsV2 MutableHashTableV2 NonDeterministicInts ParameterizedTruncatedNormal
RandomCrop RandomGamma RandomPoisson RandomPoissonV2 RandomShuffle RandomStandardNormal
RandomUniform RandomUniformInt ReadVariableOp ResourceApplyAdaMax ResourceApplyAdadelta
ResourceApplyAdagrad ResourceApplyAdagradDA ResourceApplyAdagradV2 ResourceApplyAdam
ResourceApplyAdamWithAmsgrad ResourceApplyAddSign ResourceApplyCenteredRMSProp ResourceApplyFtrl
ResourceApplyFtrlV2 ResourceApplyGradientDescent ResourceApplyKerasMomentum ResourceApplyMomentum
ResourceApplyPowerSign ResourceApplyProximalAdagrad ResourceApplyProximalGradientDescent
ResourceApplyRMSProp ResourceCountUpTo ResourceGather ResourceGatherNd ResourceScatterAdd
ResourceScatterDiv ResourceScatterMax ResourceScatterMin ResourceScatterMul ResourceScatterNdAdd
ResourceScatterNdMax ResourceScatterNdMin ResourceScatterNdSub ResourceScatterNdUpdate
ResourceScatterSub ResourceScatterUpdate ResourceStridedSliceAssign RngReadAndSkip RngSkip
SampleDistortedBoundingBox SampleDistortedBoundingBoxV2 Stack StackCloseV2 StackPopV2 StackPushV2
StackV2 StatefulPartitionedCall StatefulRandomBinomial StatefulStandardNormal
StatefulStandardNormalV2 StatefulTruncatedNormal StatefulUniform StatefulUniformFullInt
StatefulUniformInt StatelessRandomGetAlg TemporaryVariable TensorArray TensorArrayCloseV3
TensorArrayConcatV3 TensorArrayGatherV3 TensorArrayGrad TensorArrayGradV2 TensorArrayGradV3
TensorArrayGradWithShape TensorArrayReadV3 TensorArrayScatterV3 TensorArraySizeV3
TensorArraySplitV3 TensorArrayV2 TensorArrayV3 TensorArrayWriteV3 TruncatedNormal VarHandleOp
VarIsInitializedOp Variable VariableShape VariableV2 While
"""


def operations() -> list[str]:
    """The allowed operations of the installed TensorFlow, in alphabetical order."""
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session as session

    registry = op_def_pb2.OpList()
    registry.ParseFromString(session.TF_GetBuffer(session.TF_GetAllOpList()))
    return sorted(op.name for op in registry.op if _is_allowed(op))


def _is_allowed(op: Any) -> bool:
    if op.is_stateful:
        return op.name in STATEFUL.split()
    if op.name in FINE_ALL_THE_SAME:
        return True
    names = [part.name for part in (*op.input_arg, *op.attr)]
    return not EXCLUDED.search(op.name) and not any(FILE_ARGUMENT.search(n) for n in names)


if __name__ == "__main__":
    import tensorflow as tf

    head = (
        "# Operations that a SavedModel may hold: they compute, and touch nothing outside it.\n"
        f"# Written by tools/savedmodel_operations.py from TensorFlow {tf.__version__}.\n"
    )
    TARGET.write_text(head + "\n".join(operations()) + "\n")
