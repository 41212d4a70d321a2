namespace Vicuna.Managed.Weights.Torch;

/// <summary>The callables that a state dict needs. Each is carried out by code of ours; none is ever looked up by name.</summary>
internal enum PickleGlobal
{
    /// <summary><c>collections.OrderedDict()</c>.</summary>
    OrderedDict,

    /// <summary><c>torch._utils._rebuild_tensor_v2(storage, storage_offset, size, stride, requires_grad, backward_hooks[, metadata])</c>.</summary>
    RebuildTensor,

    /// <summary><c>torch._utils._rebuild_parameter(data, requires_grad, backward_hooks)</c>.</summary>
    RebuildParameter,
}
