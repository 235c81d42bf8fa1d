using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace MatsObservability.Hosting.Run.Processes;

/// <summary>Signals of POSIX whose numbers are the same on Linux and macOS.</summary>
internal enum UnixSignal
{
    None = 0,
    Interrupt = 2,
    Quit = 3,
    Kill = 9,
    Terminate = 15,
}

/// <summary>The few libc calls that .NET does not offer.</summary>
internal static class UnixCalls
{
    private const int NoSuchProcess = 3;
    private const uint StartWritingPages = 2;

    /// <summary>
    /// Sends a signal to a process, or to the whole process group when <paramref name="group"/> is set. False when nothing was there.
    /// </summary>
    public static bool Signal(int processId, UnixSignal signal, bool group = false) =>
        Kill(group ? -processId : processId, (int)signal) == 0 || Marshal.GetLastPInvokeError() != NoSuchProcess;

    /// <summary>True while a process of this id exists (also one of another account).</summary>
    public static bool Exists(int processId) => Signal(processId, UnixSignal.None);

    /// <summary>Process id of whoever started this process; another one when that has ended.</summary>
    public static int ParentProcessId() => GetParentProcessId();

    /// <summary>Gives a file or folder (not what a link points to) to an account.</summary>
    /// <exception cref="IOException">The system refused.</exception>
    public static void ChangeOwner(string path, uint userId, uint groupId)
    {
        if (LChown(Encoding.UTF8.GetBytes(path + '\0'), userId, groupId) != 0)
        {
            throw new IOException($"Cannot give '{path}' to user id {userId}: {Marshal.GetLastPInvokeErrorMessage()}");
        }
    }

    /// <summary>
    /// Starts writing the changed pages of a part of a file to the disk, without waiting for it. False when the file system cannot.
    /// </summary>
    [SupportedOSPlatform("linux")]
    public static bool StartWriting(SafeFileHandle file, long offset, long length) =>
        SyncFileRange(file, offset, length, StartWritingPages) == 0;

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Kill(int processId, int signal);

    [DllImport("libc", EntryPoint = "getppid")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int GetParentProcessId();

    [DllImport("libc", EntryPoint = "lchown", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int LChown(byte[] path, uint userId, uint groupId);

    [DllImport("libc", EntryPoint = "sync_file_range")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SyncFileRange(SafeFileHandle file, long offset, long length, uint flags);
}
