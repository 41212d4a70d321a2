using BenchmarkDotNet.Running;
using Vicuna.Managed.Benchmarks;

BenchmarkSwitcher.FromAssembly(typeof(Config).Assembly).Run(args);
