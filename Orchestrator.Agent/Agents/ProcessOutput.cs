using System.Text;

namespace Orchestrator.Agent.Agents;

/// <summary>What a program prints, of which only the start is kept.</summary>
internal static class ProcessOutput
{
    private const int BlockChars = 4096;

    /// <summary>
    /// The first <paramref name="maxChars"/> characters of a stream, which is read to its end, or until it is cancelled: a program that
    /// prints a lot must neither block nor fill the memory.
    /// </summary>
    public static async Task<string> StartAsync(StreamReader stream, int maxChars, CancellationToken cancellationToken)
    {
        var start = new StringBuilder();
        var buffer = new char[BlockChars];
        try
        {
            while (await stream.ReadAsync(buffer, cancellationToken) is > 0 and var read)
            {
                start.Append(buffer, 0, Math.Min(read, maxChars - start.Length));
            }
        }
        catch (OperationCanceledException)
        {
            // What came until then is what there is to show.
        }

        return start.ToString();
    }
}
