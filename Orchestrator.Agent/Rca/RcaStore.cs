using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Orchestrator.Agent.Rca;

/// <summary>
/// Keeps RCA documents in PostgreSQL under <c>{session}/{yyyyMMdd-HHmmss}/{name}</c> and hands out links that are good for a while. The key
/// that signs them is made once and shared by all replicas through the database.
/// </summary>
internal sealed partial class RcaStore(NpgsqlDataSource database, IOptions<MatsOptions> options, PublicAddress address, TimeProvider time)
{
    private const string ReportName = "remediation_report.md";
    private byte[]? _key;

    /// <summary>
    /// Stores both forms of a job's RCA in a folder of the session and of this second, or the next one that is free; answers the folder. A
    /// job has one RCA: a second call answers the folder of the first.
    /// </summary>
    public Task<string> PutAsync(Guid jobId, string sessionId, string json, string markdown, CancellationToken cancellationToken) =>
        StoreAsync(
        jobId, sessionId, [("rca.json", "application/json", json), ("rca.md", "text/markdown", markdown)], cancellationToken);

    /// <summary>Stores the report of a job's remediation, once; answers its path.</summary>
    public async Task<string> PutReportAsync(Guid jobId, string sessionId, string markdown, CancellationToken cancellationToken) =>
        $"{await StoreAsync(jobId, sessionId, [(ReportName, "text/markdown", markdown)], cancellationToken)}/{ReportName}";

    private async Task<string> StoreAsync(
        Guid jobId, string sessionId, (string Name, string Type, string Content)[] files, CancellationToken cancellationToken)
    {
        for (var stamp = time.GetUtcNow(); ; stamp = stamp.AddSeconds(1))
        {
            var folder = $"{Unsafe().Replace(sessionId, "_")}/{stamp.ToString("yyyyMMdd-HHmmss", CultureInfo.InvariantCulture)}";
            await using var insert = database.CreateCommand(
                """
                insert into mats.objects (job_id, path, content_type, content)
                select $1, unnest($2::text[]), unnest($3::text[]), unnest($4::text[]) on conflict do nothing
                """);
            insert.Parameters.AddWithValue(jobId);
            insert.Parameters.AddWithValue(files.Select(file => $"{folder}/{file.Name}").ToArray());
            insert.Parameters.AddWithValue(files.Select(file => file.Type).ToArray());
            insert.Parameters.AddWithValue(files.Select(file => file.Content.Replace('\0', '\uFFFD')).ToArray());
            if (await insert.ExecuteNonQueryAsync(cancellationToken) == files.Length)
            {
                return folder;
            }

            // Either the job has these files already, or another job of the session took this second.
            await using var find = database.CreateCommand("select path from mats.objects where job_id = $1 and name = $2");
            find.Parameters.AddWithValue(jobId);
            find.Parameters.AddWithValue(files[0].Name);
            if (await find.ExecuteScalarAsync(cancellationToken) is string stored)
            {
                return stored[..stored.LastIndexOf('/')];
            }
        }
    }

    /// <summary>A stored document; null when there is none of that path.</summary>
    public async Task<(string ContentType, string Content)?> GetAsync(string path, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select content_type, content from mats.objects where path = $1");
        command.Parameters.AddWithValue(path);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? (reader.GetString(0), reader.GetString(1)) : null;
    }

    /// <summary>The address of a document, good for <see cref="MatsOptions.LinkLifetime"/>.</summary>
    public async Task<string> LinkAsync(string path, CancellationToken cancellationToken)
    {
        var expires = (time.GetUtcNow() + options.Value.LinkLifetime).ToUnixTimeSeconds();
        var signature = Sign(await KeyAsync(cancellationToken), path, expires);
        return string.Create(CultureInfo.InvariantCulture, $"{address.Base}/rca/{path}?expires={expires}&signature={signature}");
    }

    /// <summary>True when the signature is ours, for this path, and not expired.</summary>
    public async Task<bool> IsValidAsync(string path, long expires, string signature, CancellationToken cancellationToken) =>
        time.GetUtcNow().ToUnixTimeSeconds() <= expires
        && CryptographicOperations.FixedTimeEquals(
            Encoding.ASCII.GetBytes(Sign(await KeyAsync(cancellationToken), path, expires)), Encoding.ASCII.GetBytes(signature));

    private async Task<byte[]> KeyAsync(CancellationToken cancellationToken)
    {
        if (_key is { } known)
        {
            return known;
        }

        // An update, not "do nothing": it also returns the key that another replica is making at the same time.
        await using var command = database.CreateCommand(
            """
            insert into mats.settings (key, value) values ('link_key', $1) on conflict (key) do update set value = mats.settings.value
            returning value
            """);
        command.Parameters.AddWithValue(Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32)));
        var value = (string)(await command.ExecuteScalarAsync(cancellationToken))!;
        return _key = Convert.FromHexString(value);
    }

    private static string Sign(byte[] key, string path, long expires) =>
        Convert.ToHexStringLower(
            HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{path}\n{expires}"))));

    [GeneratedRegex("[^A-Za-z0-9_-]", RegexOptions.None, 1000)]
    private static partial Regex Unsafe();
}
