namespace Vicuna.Managed.Tests.Weights.Torch;

/// <summary>What a pickle claims against what the archive holds: cases P7, P8 and P10 of the design's refusal corpus.</summary>
public sealed class TorchStateDictTests
{
    private static readonly Dictionary<string, (TensorSpec Tensor, string Expected)> Cases = new()
    {
        ["P7 count below the record's"] = (new("t", [3]) { Count = 3 }, "'data/0': expected 3 elements of 2 bytes, found 8 bytes"),
        ["P7 count above the record's"] = (new("t", [4]) { Count = 5 }, "expected 5 elements of 2 bytes, found 8 bytes"),
        ["P7 count of 2^63 - 1"] = (new("t", [4]) { Count = long.MaxValue }, "expected 9223372036854775807 elements"),
        ["P7 wider type"] = (new("t", [4]) { StorageType = "FloatStorage" }, "expected 4 elements of 4 bytes, found 8 bytes"),
        ["P8 key that is not in the archive"] = (new("t", [4]) { Key = "1" }, "'data/1': the pickle names this record"),
        ["P8 key with a leading zero"] = (new("t", [4]) { Key = "00" }, "'data/00': the pickle names this record"),
        ["P10 negative offset"] = (new("t", [4]) { Offset = -1 }, "'t': 4 elements from element -1"),
        ["P10 offset of -2^63"] = (new("t", [4]) { Offset = long.MinValue }, "do not lie in its storage of 4"),
        ["P10 offset past the end"] = (new("t", [0]) { Offset = 5 }, "0 elements from element 5"),
        ["P10 extent past the end"] = (new("t", [2, 2]) { Offset = 1 }, "4 elements from element 1 do not lie in its storage of 4"),
        ["P10 offset of 2^63 - 1"] = (new("t", [4]) { Offset = long.MaxValue }, "do not lie in its storage of 4"),
        ["P10 size past the storage"] = (new("t", [5]), "5 elements from element 0 do not lie"),
        ["P10 negative size"] = (new("t", [-4]), "shape [-4] is negative or too large"),
        ["P10 two negative sizes"] = (new("t", [-2, -2]), "shape [-2, -2] is negative or too large"),
        ["P10 product of sizes overflows"] = (new("t", [1L << 32, 1L << 32]), "is negative or too large"),
        ["P10 product overflows before a zero"] = (new("t", [1L << 62, 4, 0]), "is negative or too large"),
        ["P10 product overflows to the storage's size"] = (new("t", [(1L << 62) + 1, 4]), "is negative or too large"),
        ["P10 size of 2^63 - 1"] = (new("t", [long.MaxValue]), "9223372036854775807 elements from element 0 do not lie"),
        ["P10 negative stride"] = (new("t", [2, 2]) { Strides = [-2, 1] }, "strides [-2, 1] are not the contiguous ones of shape [2, 2]"),
        ["P10 negative stride of size 1"] = (new("t", [1]) { Strides = [-1] }, "strides [-1]"),
        ["P10 stride 0"] = (new("t", [4]) { Strides = [0] }, "strides [0]"),
        ["P10 transposed"] = (new("t", [2, 2]) { Strides = [1, 2] }, "strides [1, 2]"),
        ["P10 every other element"] = (new("t", [2]) { Strides = [2] }, "strides [2]"),
        ["P10 too few strides"] = (new("t", [2, 2]) { Strides = [1] }, "as many strides as dimensions, found 1 and 2"),
        ["P10 too many strides"] = (new("t", []) { Strides = [1] }, "as many strides as dimensions, found 1 and 0"),
    };

    public static TheoryData<string> CaseNames() => [.. Cases.Keys];

    [Theory]
    [MemberData(nameof(CaseNames))]
    public void Resolve_TensorThatDoesNotFit_IsRefused(string name)
    {
        byte[] pickle = PickleWriter.StateDict(Cases[name].Tensor);

        string message = TorchReading.Refusal(TorchFileBuilder.Of(pickle, ("0", new byte[8])).Build());

        Assert.Contains(Cases[name].Expected, message, StringComparison.Ordinal);
    }
}
