using System.Diagnostics;

namespace Vicuna.Managed.LoadTest;

/// <summary>What a process holds, as the operating system tells it.</summary>
/// <param name="ResidentMegabytes">Memory, in millions of bytes.</param>
/// <param name="Threads">Threads.</param>
/// <param name="Files">Open files and sockets; null where the system does not tell.</param>
internal sealed record ServerProcess(double ResidentMegabytes, int Threads, int? Files)
{
    /// <summary>Looks at a process.</summary>
    public static ServerProcess Look(int id)
    {
        using Process process = Process.GetProcessById(id);
        string files = $"/proc/{id}/fd";
        return new(process.WorkingSet64 / 1e6, process.Threads.Count, Directory.Exists(files) ? Directory.GetFileSystemEntries(files).Length : null);
    }
}
