using Vicuna.Managed.Models;

namespace Vicuna.Managed.Compression.Evaluation;

/// <summary>A sequence that is to be run as far as <paramref name="End"/>.</summary>
/// <param name="Cache">Its keys and values; it is run from the cache's length on.</param>
/// <param name="Ids">Its token ids.</param>
/// <param name="End">How many of them are read; more than the cache's length.</param>
/// <param name="ObserveFrom">Position from which on the logits are wanted.</param>
/// <param name="Observer">Receives them, position by position.</param>
internal sealed record Feed(KvCache Cache, int[] Ids, int End, int ObserveFrom, LogitsObserver Observer);
