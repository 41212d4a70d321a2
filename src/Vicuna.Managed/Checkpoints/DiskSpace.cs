namespace Vicuna.Managed.Checkpoints;

/// <summary>Asks for room before hours of writing rather than after.</summary>
internal static class DiskSpace
{
    /// <summary>Checks that the file system of a path that need not exist yet has room.</summary>
    /// <param name="path">Full path of what is to be written.</param>
    /// <param name="needed">Bytes.</param>
    /// <exception cref="IOException">There is less room.</exception>
    public static void Require(string path, long needed)
    {
        string existing = path;
        while (!Directory.Exists(existing) && Path.GetDirectoryName(existing) is { } parent)
        {
            existing = parent;
        }

        // On Windows a drive is named by its root; a share has no drive to ask, and elsewhere any folder names the file system that it lies in.
        string drive = OperatingSystem.IsWindows() ? Path.GetPathRoot(existing) ?? existing : existing;
        if (drive.StartsWith(@"\\", StringComparison.Ordinal))
        {
            return;
        }

        long free = new DriveInfo(drive).AvailableFreeSpace;
        if (free < needed)
        {
            throw new IOException($"{path}: expected {needed} bytes of free disk space, found {free}.");
        }
    }
}
