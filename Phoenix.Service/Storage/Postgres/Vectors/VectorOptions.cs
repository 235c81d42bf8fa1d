namespace Phoenix.Service.Storage.Postgres.Vectors;

/// <summary>Kind of index over the vectors.</summary>
internal enum VectorIndexKind
{
    /// <summary>Inverted lists: small and quick to build.</summary>
    IvfFlat,

    /// <summary>A graph: finds more, and costs more to build and to write.</summary>
    Hnsw,
}

/// <summary>Search for spans by the vectors of embedding calls; needs the extension <c>vector</c> in PostgreSQL.</summary>
internal sealed class VectorOptions
{
    public const string Section = "Phoenix:Vectors";

    /// <summary>Largest number of dimensions that the extension indexes.</summary>
    public const int MostDimensions = 2000;

    /// <summary>Whether the extension is used, and created where the server has it.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>Numbers in a vector; vectors of another length are not kept.</summary>
    public int Dimensions { get; set; } = 1536;

    /// <summary>Index over the vectors.</summary>
    public VectorIndexKind Index { get; set; } = VectorIndexKind.IvfFlat;

    /// <summary>One sentence a broken rule.</summary>
    public static IEnumerable<string> Check(VectorOptions options)
    {
        if (options.Dimensions is < 1 or > MostDimensions)
        {
            yield return $"{Section}:{nameof(Dimensions)} must be from 1 to {MostDimensions}, got {options.Dimensions}";
        }
    }
}
