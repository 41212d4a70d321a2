using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text;
using System.Text.Unicode;

namespace Vicuna.Managed.Weights.Torch;

/// <summary>
/// Reads the pickle of a PyTorch state dict. It is a stack machine over an explicit stack with a closed list of instructions and a closed
/// list of names, each carried out by code of ours: nothing in the input can cause a type to be looked up or code to be run. It never walks
/// into nested values, so their depth and cycles do not matter. What a state dict has no use for (list items, the state that BUILD sets,
/// float values) is dropped as it is read.
/// Sources: Python's pickletools for the instructions; PyTorch's torch/_utils.py and torch/serialization.py for names and arguments.
/// </summary>
internal ref struct TorchUnpickler
{
    /// <summary>Size of the largest pickle that is read.</summary>
    public const int MaxBytes = 64 << 20;

    /// <summary>Values that may be pushed in all: a tensor takes about 25.</summary>
    public const int MaxValues = 1 << 20;

    /// <summary>Values that may be on the stack at a time. Python sets pairs in batches of 1000, others all at once.</summary>
    public const int MaxStack = 1 << 18;

    /// <summary>Highest memo number, plus one.</summary>
    public const int MaxMemo = 1 << 20;

    /// <summary>Bytes of the longest text.</summary>
    public const int MaxText = 1 << 16;

    /// <summary>Dimensions of a tensor, as in PyTorch.</summary>
    public const int MaxRank = 64;

    private const int MaxGlobalLine = 128;
    private const int MaxKeyDigits = 20;
    private const byte Protocol = 2;

    private readonly ReadOnlySpan<byte> _bytes;
    private readonly string _fileName;
    private readonly List<PickleValue> _stack = [];
    private readonly Dictionary<uint, PickleValue> _memo = [];
    private readonly Dictionary<string, TorchStorage> _storages = new(StringComparer.Ordinal);
    private int _position;
    private int _pushed;

    private TorchUnpickler(ReadOnlySpan<byte> bytes, string fileName)
    {
        _bytes = bytes;
        _fileName = fileName;
    }

    /// <summary>Reads a whole pickle.</summary>
    /// <param name="bytes">The pickle, without anything after its end.</param>
    /// <param name="fileName">The file that holds it, for messages.</param>
    /// <exception cref="ModelFormatException">It is damaged, exceeds a limit, or is not a plain dict of names and tensors.</exception>
    public static TorchPickle Read(ReadOnlySpan<byte> bytes, string fileName) => new TorchUnpickler(bytes, fileName).Run();

    private TorchPickle Run()
    {
        if (_bytes.Length > MaxBytes)
        {
            throw Fail($"{_bytes.Length} bytes; at most {MaxBytes} are read");
        }

        byte first = TakeByte();
        byte protocol = TakeByte();
        if (first != (byte)PickleOp.Proto || protocol != Protocol)
        {
            throw Fail($"expected a pickle of protocol {Protocol} (80 02), found {first:X2} {protocol:X2}");
        }

        while (true)
        {
            PickleOp op = (PickleOp)TakeByte();
            if (op == PickleOp.Stop)
            {
                return Finish();
            }

            Execute(op);
        }
    }

    private void Execute(PickleOp op)
    {
        switch (op)
        {
            case PickleOp.Mark: Push(new PickleValue(PickleKind.Mark)); break;
            case PickleOp.None: Push(new PickleValue(PickleKind.None)); break;
            case PickleOp.NewTrue or PickleOp.NewFalse: Push(new PickleValue(PickleKind.Bool)); break;
            case PickleOp.BinInt: Push(new PickleValue(PickleKind.Integer, BinaryPrimitives.ReadInt32LittleEndian(Take(4)))); break;
            case PickleOp.BinInt1: Push(new PickleValue(PickleKind.Integer, TakeByte())); break;
            case PickleOp.BinInt2: Push(new PickleValue(PickleKind.Integer, BinaryPrimitives.ReadUInt16LittleEndian(Take(2)))); break;
            case PickleOp.Long1: Push(new PickleValue(PickleKind.Integer, TakeLong())); break;
            case PickleOp.BinFloat: Take(8); Push(new PickleValue(PickleKind.Float)); break;
            case PickleOp.BinUnicode: PushText(); break;
            case PickleOp.Global: PushGlobal(); break;
            case PickleOp.EmptyTuple: Push(new PickleValue(PickleKind.Tuple, reference: Array.Empty<PickleValue>())); break;
            case PickleOp.EmptyList: Push(new PickleValue(PickleKind.List)); break;
            case PickleOp.EmptyDict: PushDict(); break;
            case PickleOp.Tuple1: PushTuple(1); break;
            case PickleOp.Tuple2: PushTuple(2); break;
            case PickleOp.Tuple3: PushTuple(3); break;
            case PickleOp.Tuple: int count = CountToMark(); PushTuple(count, markBelow: true); break;
            case PickleOp.BinPut: Put(TakeByte()); break;
            case PickleOp.LongBinPut: Put(BinaryPrimitives.ReadUInt32LittleEndian(Take(4))); break;
            case PickleOp.BinGet: Get(TakeByte()); break;
            case PickleOp.LongBinGet: Get(BinaryPrimitives.ReadUInt32LittleEndian(Take(4))); break;
            case PickleOp.Append: Pop(); Expect(Top, PickleKind.List, "APPEND to"); break;
            case PickleOp.Appends: Drop(CountToMark() + 1); Expect(Top, PickleKind.List, "APPENDS to"); break;
            case PickleOp.SetItem: SetItems(2, markBelow: false); break;
            case PickleOp.SetItems: SetItems(CountToMark(), markBelow: true); break;
            case PickleOp.Build: Expect(Pop(), PickleKind.Dict, "BUILD with"); Expect(Top, PickleKind.Dict, "BUILD of"); break;
            case PickleOp.BinPersId: PushStorage(); break;
            case PickleOp.Reduce: Reduce(); break;
            default: throw Fail($"instruction {(byte)op:X2} is not one that a state dict is made of");
        }
    }

    private TorchPickle Finish()
    {
        PickleValue root = Pop();
        if (_stack.Count > 0 || _position != _bytes.Length)
        {
            throw Fail($"expected the end, found {_stack.Count} values left on the stack and {_bytes.Length - _position} bytes after STOP");
        }

        Expect(root, PickleKind.Dict, "the checkpoint's content:");
        List<KeyValuePair<string, TorchTensor>> tensors = new(root.Pairs.Count);
        HashSet<string> names = new(StringComparer.Ordinal);
        foreach ((PickleValue key, PickleValue value) in root.Pairs)
        {
            string name = Text(key);
            if (!names.Add(name))
            {
                throw new ModelFormatException(_fileName, "the state dict holds this name twice", name);
            }

            if (value.Kind != PickleKind.Tensor)
            {
                throw new ModelFormatException(_fileName, $"expected a tensor, found a value of kind {value.Kind}: "
                    + "only the plain state dict of a model is read, not a training checkpoint", name);
            }

            tensors.Add(new(name, value.Tensor));
        }

        return new TorchPickle(tensors, _storages);
    }

    private void Push(PickleValue value)
    {
        if (_pushed == MaxValues || _stack.Count == MaxStack)
        {
            throw Fail($"more than {MaxValues} values, or more than {MaxStack} at a time");
        }

        _pushed++;
        _stack.Add(value);
    }

    private PickleValue Pop()
    {
        PickleValue top = Top;
        _stack.RemoveAt(_stack.Count - 1);
        return top;
    }

    private readonly PickleValue Top => _stack.Count > 0 && _stack[^1].Kind != PickleKind.Mark
        ? _stack[^1]
        : throw Fail("an instruction needs a value that is not on the stack");

    private readonly int CountToMark()
    {
        for (int i = _stack.Count - 1; i >= 0; i--)
        {
            if (_stack[i].Kind == PickleKind.Mark)
            {
                return _stack.Count - 1 - i;
            }
        }

        throw Fail("an instruction needs a mark that is not on the stack");
    }

    private readonly void Drop(int count) => _stack.RemoveRange(_stack.Count - count, count);

    // The topmost values, none of which may be a mark; they stay on the stack.
    private readonly int Need(int count)
    {
        int start = _stack.Count - count;
        for (int i = _stack.Count - 1; i >= start; i--)
        {
            if (i < 0 || _stack[i].Kind == PickleKind.Mark)
            {
                throw Fail("an instruction needs a value that is not on the stack");
            }
        }

        return start;
    }

    private void PushTuple(int count, bool markBelow = false)
    {
        int start = Need(count);
        PickleValue[] items = count > 0 ? new PickleValue[count] : [];
        _stack.CopyTo(start, items, 0, count);
        Drop(markBelow ? count + 1 : count);
        Push(new PickleValue(PickleKind.Tuple, reference: items));
    }

    private void PushDict() => Push(new PickleValue(PickleKind.Dict, reference: new List<KeyValuePair<PickleValue, PickleValue>>()));

    private void SetItems(int count, bool markBelow)
    {
        int start = Need(count);
        int target = start - (markBelow ? 2 : 1);
        PickleValue dict = target >= 0 ? _stack[target] : throw Fail("an instruction needs a dict that is not on the stack");
        Expect(dict, PickleKind.Dict, "SETITEMS of");
        if (count % 2 != 0)
        {
            throw Fail($"SETITEMS with {count} values, which are not pairs");
        }

        for (int i = start; i < _stack.Count; i += 2)
        {
            Expect(_stack[i], PickleKind.Text, "a dict's key:");
            dict.Pairs.Add(new(_stack[i], _stack[i + 1]));
        }

        Drop(_stack.Count - target - 1);
    }

    private void Put(uint number)
    {
        if (number >= MaxMemo)
        {
            throw Fail($"memo number {number}; at most {MaxMemo - 1} is read");
        }

        _memo[number] = Top;
    }

    private void Get(uint number) => Push(_memo.TryGetValue(number, out PickleValue value) ? value : throw Fail($"memo number {number} was never set"));

    private void PushText()
    {
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(Take(4));
        if (length > MaxText)
        {
            throw Fail($"a text of {length} bytes; at most {MaxText} are read");
        }

        long offset = _position;
        Push(Utf8.IsValid(Take((int)length)) ? new PickleValue(PickleKind.Text, (offset << 32) | length) : throw Fail("a text that is not UTF-8"));
    }

    private void PushGlobal()
    {
        ReadOnlySpan<byte> module = TakeLine();
        ReadOnlySpan<byte> name = TakeLine();
        PickleValue? known = PickleGlobals.Find(module, name);
        Push(known ?? throw Fail($"refers to '{Encoding.UTF8.GetString(module)} {Encoding.UTF8.GetString(name)}', which a state dict has no use for; "
            + "it may be an attempt to run code"));
    }

    private void PushStorage()
    {
        PickleValue id = Pop();
        Expect(id, PickleKind.Tuple, "persistent id:");
        ReadOnlySpan<PickleValue> items = id.Items;
        if (items.Length != 5 || !IsText(items[0], "storage"u8) || items[1].Kind != PickleKind.StorageType || items[2].Kind != PickleKind.Text
            || items[3].Kind is not (PickleKind.Text or PickleKind.None) || items[4].Kind != PickleKind.Integer || items[4].Number < 0)
        {
            throw Fail("expected a persistent id ('storage', type, key, location, number of elements), found something else");
        }

        ReadOnlySpan<byte> key = Utf8Text(items[2]);
        if (key.Length is 0 or > MaxKeyDigits || key.ContainsAnyExceptInRange((byte)'0', (byte)'9'))
        {
            throw Fail($"expected a storage key of decimal digits, found {ModelFormatException.Quote(Encoding.UTF8.GetString(key))}");
        }

        TorchStorage storage = new(Encoding.ASCII.GetString(key), (TensorType)items[1].Number, items[4].Number);
        if (!_storages.TryAdd(storage.Key, storage) && _storages[storage.Key] != storage)
        {
            // Readers that keep the first type of a key while the second sets the size have been made to overrun buffers.
            throw Fail($"storage {storage.Key} is {_storages[storage.Key].Count} x {_storages[storage.Key].Type} and also {storage.Count} x {storage.Type}");
        }

        Push(new PickleValue(PickleKind.Storage, reference: _storages[storage.Key]));
    }

    private void Reduce()
    {
        PickleValue arguments = Pop();
        PickleValue callable = Pop();
        Expect(arguments, PickleKind.Tuple, "arguments of a call:");
        Expect(callable, PickleKind.Global, "a call of");
        ReadOnlySpan<PickleValue> items = arguments.Items;
        switch ((PickleGlobal)callable.Number)
        {
            case PickleGlobal.OrderedDict when items.Length == 0:
                PushDict();
                break;
            case PickleGlobal.RebuildTensor when items.Length is 6 or 7 && items[0].Kind == PickleKind.Storage && items[1].Kind == PickleKind.Integer
                && items[4].Kind == PickleKind.Bool && IsEmpty(items[5]) && (items.Length == 6 || IsEmpty(items[6])):
                Push(new PickleValue(PickleKind.Tensor, reference: new TorchTensor(items[0].Storage, items[1].Number, Integers(items[2]), Integers(items[3]))));
                break;
            case PickleGlobal.RebuildParameter when items.Length == 3 && items[0].Kind == PickleKind.Tensor
                && items[1].Kind == PickleKind.Bool && IsEmpty(items[2]):
                Push(items[0]);
                break;
            default:
                throw Fail($"a call of {(PickleGlobal)callable.Number} with {items.Length} arguments of unexpected number or kind");
        }
    }

    // Hooks, and the metadata of a conjugated or negated view: anything but "none" would change what the tensor means.
    private static bool IsEmpty(PickleValue value) => value.Kind == PickleKind.None || (value.Kind == PickleKind.Dict && value.Pairs.Count == 0);

    private readonly ImmutableArray<long> Integers(PickleValue tuple)
    {
        Expect(tuple, PickleKind.Tuple, "a tensor's size or stride:");
        if (tuple.Items.Length > MaxRank)
        {
            // Refused here and not later: one long tuple can be used by many tensors, and each makes its own copy.
            throw Fail($"a tensor of {tuple.Items.Length} dimensions; at most {MaxRank} are read");
        }

        long[] numbers = new long[tuple.Items.Length];
        for (int i = 0; i < numbers.Length; i++)
        {
            Expect(tuple.Items[i], PickleKind.Integer, "a tensor's size or stride:");
            numbers[i] = tuple.Items[i].Number;
        }

        return ImmutableArray.Create(numbers);
    }

    private readonly ReadOnlySpan<byte> Utf8Text(PickleValue text) => _bytes.Slice((int)(text.Number >> 32), (int)(text.Number & uint.MaxValue));

    private readonly string Text(PickleValue text) => Encoding.UTF8.GetString(Utf8Text(text));

    private readonly bool IsText(PickleValue value, ReadOnlySpan<byte> text) => value.Kind == PickleKind.Text && Utf8Text(value).SequenceEqual(text);

    private byte TakeByte() => Take(1)[0];

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > _bytes.Length - _position)
        {
            throw Fail($"expected {count} more bytes, found {_bytes.Length - _position}: cut short");
        }

        _position += count;
        return _bytes.Slice(_position - count, count);
    }

    private long TakeLong()
    {
        ReadOnlySpan<byte> bytes = Take(TakeByte());
        if (bytes.Length > sizeof(long))
        {
            throw Fail($"an integer of {bytes.Length} bytes; at most {sizeof(long)} are read");
        }

        long value = bytes.Length > 0 && (bytes[^1] & 0x80) != 0 ? -1 : 0;
        for (int i = bytes.Length - 1; i >= 0; i--)
        {
            value = (value << 8) | bytes[i];
        }

        return value;
    }

    private ReadOnlySpan<byte> TakeLine()
    {
        ReadOnlySpan<byte> rest = _bytes[_position..];
        int length = rest[..Math.Min(rest.Length, MaxGlobalLine + 1)].IndexOf((byte)'\n');
        return length >= 0 ? Take(length + 1)[..length] : throw Fail($"a name without a line end in {MaxGlobalLine} bytes");
    }

    private readonly void Expect(PickleValue value, PickleKind kind, string what)
    {
        if (value.Kind != kind)
        {
            throw Fail($"{what} expected a value of kind {kind}, found {value.Kind}");
        }
    }

    private readonly ModelFormatException Fail(string problem) => new(_fileName, $"{problem} (before byte {_position})", "data.pkl");
}
