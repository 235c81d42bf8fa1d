using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Configuration.UserSecrets;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>
/// The user-secrets file of the AppHost: flat JSON, readable by its owner only, shared by every process of the same project.
/// </summary>
internal sealed class UserSecretsFile(string userSecretsId)
{
    private static readonly JsonSerializerOptions s_indented = new()
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };
    private static readonly TimeSpan s_lockTimeout = TimeSpan.FromSeconds(10);

    /// <summary>The file of an AppHost assembly; null when it names no user-secrets id.</summary>
    public static UserSecretsFile? Of(Assembly? appHostAssembly) =>
        appHostAssembly?.GetCustomAttribute<UserSecretsIdAttribute>() is { } attribute
            ? new UserSecretsFile(attribute.UserSecretsId)
            : null;

    /// <summary>
    /// The stored value of a key, else a new one, which is on disk when this returns. Two processes that ask at once get the same value.
    /// </summary>
    /// <exception cref="DistributedApplicationException">The file cannot be read or written, or another process holds it for too
    /// long.</exception>
    public string GetOrAdd(string key, Func<string> create)
    {
        try
        {
            var path = PathHelper.GetSecretsPathFromSecretsId(userSecretsId);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            using var mutex = new Mutex(initiallyOwned: false,
                "mats-user-secrets-" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(path)))[..16]);
            Enter(mutex, path);
            try
            {
                return GetOrAdd(path, key, create);
            }
            finally
            {
                mutex.ReleaseMutex();
            }
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or JsonException or InvalidOperationException)
        {
            throw new DistributedApplicationException(
                $"The generated value of '{key}' cannot be kept in the user secrets '{userSecretsId}': {failure.Message} Set '{key}' in the configuration instead.", failure);
        }
    }

    private static string GetOrAdd(string path, string key, Func<string> create)
    {
        var secrets = File.Exists(path) ? JsonNode.Parse(File.ReadAllText(path)) as JsonObject ?? [] : [];
        if (secrets[key]?.GetValue<string>() is { Length: > 0 } stored)
        {
            return stored;
        }

        var value = create();
        secrets[key] = value;
        Write(path, secrets.ToJsonString(s_indented));
        return value;
    }

    private static void Enter(Mutex mutex, string path)
    {
        try
        {
            if (!mutex.WaitOne(s_lockTimeout))
            {
                throw new IOException($"another process has held '{path}' for {s_lockTimeout.TotalSeconds:0} seconds.");
            }
        }
        catch (AbandonedMutexException)
        {
            // Its owner ended while holding it; the file is replaced in one step, so it is whole.
        }
    }

    private static void Write(string path, string content)
    {
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        var draft = $"{path}.{Environment.ProcessId}";
        using (var stream = new StreamWriter(draft, options))
        {
            stream.Write(content);
        }

        File.Move(draft, path, overwrite: true);
    }
}
