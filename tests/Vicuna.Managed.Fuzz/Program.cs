return Vicuna.Managed.Tests.Fuzz.FuzzCommand.Run(args);
