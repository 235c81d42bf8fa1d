using System.Diagnostics;
using System.Globalization;

namespace MatsObservability.Tests.Support;

/// <summary>A file system of its own with little room (tmpfs), which can really be filled; unmounted at the end.</summary>
internal sealed class SmallDisk : IDisposable
{
    private static readonly Lazy<bool> s_isAvailable = new(Try);

    private SmallDisk(string path) => Path = path;

    /// <summary>Whether this account may mount one here.</summary>
    public static bool IsAvailable => s_isAvailable.Value;

    /// <summary>Where it is mounted; every account may write there.</summary>
    public string Path { get; }

    private string Ballast => System.IO.Path.Combine(Path, "ballast");

    /// <summary>Mounts one of <paramref name="mebibytes"/> MiB.</summary>
    public static SmallDisk Mount(int mebibytes)
    {
        var path = Directory.CreateDirectory(
            System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"mats-disk-{Guid.NewGuid():N}")).FullName;
        if (Run("mount", "-t", "tmpfs", "-o", string.Create(CultureInfo.InvariantCulture, $"size={mebibytes}m,mode=1777"), "tmpfs", path))
        {
            return new SmallDisk(path);
        }

        Directory.Delete(path);
        throw new InvalidOperationException("This account may not mount a file system.");
    }

    /// <summary>Takes all room but <paramref name="free"/> bytes.</summary>
    public void Fill(long free)
    {
        using var file = new FileStream(Ballast, FileMode.Append);
        var block = new byte[64 * 1024];
        while (new DriveInfo(Path).AvailableFreeSpace > free + block.Length)
        {
            file.Write(block);
            file.Flush();
        }
    }

    /// <summary>Gives the room back.</summary>
    public void Free() => File.Delete(Ballast);

    /// <inheritdoc/>
    public void Dispose()
    {
        Run("umount", "-l", Path);
        Directory.Delete(Path);
    }

    private static bool Try()
    {
        if (!OperatingSystem.IsLinux() || Environment.UserName != "root")
        {
            return false;
        }

        try
        {
            Mount(1).Dispose();
            return true;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    private static bool Run(string program, params string[] arguments)
    {
        using var process = Process.Start(
            new ProcessStartInfo(program, arguments) { RedirectStandardError = true, UseShellExecute = false })!;
        process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0;
    }
}

/// <summary>A test that needs a <see cref="SmallDisk"/>; skipped where none can be mounted.</summary>
internal sealed class SmallDiskFactAttribute : FactAttribute
{
    public SmallDiskFactAttribute() => Skip = SmallDisk.IsAvailable ? null : "needs the right to mount a file system (root on Linux)";
}
