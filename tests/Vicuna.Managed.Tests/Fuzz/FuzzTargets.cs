namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>Every target: a new one is a line here. A test checks that none is forgotten.</summary>
internal static class FuzzTargets
{
    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new(SafetensorsTarget.Name, SafetensorsTarget.Seeds, SafetensorsTarget.Run),
        new(ShardedIndexTarget.Name, ShardedIndexTarget.Seeds, ShardedIndexTarget.Run),
        new(GgufTarget.Name, GgufTarget.Seeds, GgufTarget.Run),
        new(TorchFileTarget.Name, TorchFileTarget.Seeds, TorchFileTarget.Run),
        new(PickleTarget.Name, PickleTarget.Seeds, PickleTarget.Run),
        new(ConfigTarget.Name, ConfigTarget.Seeds, ConfigTarget.Run),
        new(GenerationConfigTarget.Name, GenerationConfigTarget.Seeds, GenerationConfigTarget.Run),
        new(SequenceFileTarget.Name, SequenceFileTarget.Seeds, SequenceFileTarget.Run),
        new(SentencePieceTarget.Name, SentencePieceTarget.Seeds, SentencePieceTarget.Run),
        new(PeftConfigTarget.Name, PeftConfigTarget.Seeds, PeftConfigTarget.Run),
        new(PeftTensorsTarget.Name, PeftTensorsTarget.Seeds, PeftTensorsTarget.Run),
        new(BlockScoresTarget.Name, BlockScoresTarget.Seeds, BlockScoresTarget.Run),
        new(TrainingStateTarget.Name, TrainingStateTarget.Seeds, TrainingStateTarget.Run),
        new(TrainingDataTarget.Name, TrainingDataTarget.Seeds, TrainingDataTarget.Run),
        new(ZeroShotTaskTarget.Name, ZeroShotTaskTarget.Seeds, ZeroShotTaskTarget.Run),
        new(JsonSchemaTarget.Name, JsonSchemaTarget.Seeds, JsonSchemaTarget.Run),
        new(RegexTarget.Name, RegexTarget.Seeds, RegexTarget.Run),
    ];
}
