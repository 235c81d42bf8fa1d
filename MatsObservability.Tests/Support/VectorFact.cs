using Npgsql;

namespace MatsObservability.Tests.Support;

/// <summary>
/// Whether the server of MATS_TEST_POSTGRES offers the extension <c>vector</c>; a server that the tests start themselves is not asked.
/// </summary>
internal static class VectorExtension
{
    private static readonly Lazy<bool> s_isAvailable = new(Look);

    public static bool IsAvailable => s_isAvailable.Value;

    private static bool Look()
    {
        if (Environment.GetEnvironmentVariable("MATS_TEST_POSTGRES") is not { Length: > 0 } server)
        {
            return false;
        }

        using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(server) { Pooling = false }.ConnectionString);
        connection.Open();
        using var command = new NpgsqlCommand("SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector')", connection);
        return (bool)command.ExecuteScalar()!;
    }

    /// <summary>Why a test that needs it is skipped; null when it runs.</summary>
    public static string? Missing => IsAvailable
        ? null
        : "needs the extension vector (pgvector): name a server that offers it in MATS_TEST_POSTGRES";
}

/// <summary>A test that needs pgvector.</summary>
internal sealed class VectorFactAttribute : FactAttribute
{
    public VectorFactAttribute() => Skip = VectorExtension.Missing;
}

/// <summary>A theory that needs pgvector.</summary>
internal sealed class VectorTheoryAttribute : TheoryAttribute
{
    public VectorTheoryAttribute() => Skip = VectorExtension.Missing;
}
