using System.Diagnostics;
using System.Globalization;

namespace Vicuna.Managed.LoadTest;

/// <summary>What the server's process holds, as the operating system tells it.</summary>
internal sealed class ServerProcess(int id)
{
    /// <summary>Resident memory, threads and open files in one line.</summary>
    public string Describe()
    {
        using Process process = Process.GetProcessById(id);
        string files = Directory.Exists($"/proc/{id}/fd") ? Directory.GetFiles($"/proc/{id}/fd").Length.ToString(CultureInfo.InvariantCulture) : "unknown";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"resident {process.WorkingSet64 / 1e6:0} MB, private {process.PrivateMemorySize64 / 1e6:0} MB, threads {process.Threads.Count}, files {files}");
    }
}
