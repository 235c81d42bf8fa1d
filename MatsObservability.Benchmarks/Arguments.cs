using System.CommandLine;
using System.Globalization;
using System.Numerics;

namespace MatsObservability.Benchmarks;

/// <summary>Options that commands have in common. Numbers are read alike in every language of the machine.</summary>
internal static class Arguments
{
    /// <summary>The file that the figures are written to.</summary>
    public static Option<FileInfo?> Json() => new("--json") { Description = "also writes the figures into this file", HelpName = "FILE" };

    /// <summary>
    /// A number above 0, <paramref name="standard"/> when none is given, which may be 0 for one that means nothing then.
    /// </summary>
    public static Option<T> Number<T>(string name, T standard, string description) where T : INumber<T> => new(name)
    {
        Description = description,
        HelpName = "N",
        DefaultValueFactory = _ => standard,
        CustomParser = result =>
        {
            var text = result.Tokens[0].Value;
            if (!T.TryParse(text, CultureInfo.InvariantCulture, out var number) || number <= T.Zero)
            {
                result.AddError($"{name} must be a {(standard is double ? "" : "whole ")}number above 0, got '{text}'.");
            }

            return number;
        },
    };
}
