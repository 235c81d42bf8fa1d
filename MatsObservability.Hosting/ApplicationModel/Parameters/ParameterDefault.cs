using System.Security.Cryptography;
using Aspire.Hosting.Publishing;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>The value of a parameter that nobody gave.</summary>
public abstract class ParameterDefault
{
    /// <summary>Writes the content of the input's <c>default</c> object.</summary>
    public abstract void WriteToManifest(ManifestPublishingContext context);

    public abstract string GetDefaultValue();
}

/// <summary>A random value of given length and character classes. The characters leave out those that are easily confused.</summary>
public sealed class GenerateParameterDefault : ParameterDefault
{
    private const string LowerCharacters = "abcdefghjkmnpqrstuvwxyz";
    private const string UpperCharacters = "ABCDEFGHJKMNPQRSTUVWXYZ";
    private const string NumericCharacters = "0123456789";
    private const string SpecialCharacters = "-_.{}~()*+!";

    /// <summary>Length in characters; the value is longer only if the minima of the classes add up to more.</summary>
    public int MinLength { get; set; } = 22;

    public bool Lower { get; set; } = true;

    public bool Upper { get; set; } = true;

    public bool Numeric { get; set; } = true;

    public bool Special { get; set; } = true;

    public int MinLower { get; set; }

    public int MinUpper { get; set; }

    public int MinNumeric { get; set; }

    public int MinSpecial { get; set; }

    /// <exception cref="InvalidOperationException">No class is allowed, or a class that is not allowed has a minimum.</exception>
    public override string GetDefaultValue()
    {
        var allowed = "";
        var required = new List<char>();
        Take(Lower, MinLower, LowerCharacters, nameof(MinLower));
        Take(Upper, MinUpper, UpperCharacters, nameof(MinUpper));
        Take(Numeric, MinNumeric, NumericCharacters, nameof(MinNumeric));
        Take(Special, MinSpecial, SpecialCharacters, nameof(MinSpecial));
        if (allowed.Length == 0)
        {
            throw new InvalidOperationException("A generated value needs at least one class of characters.");
        }

        var rest = Math.Max(0, MinLength - required.Count);
        var characters = (char[])[.. required, .. RandomNumberGenerator.GetItems<char>(allowed, rest)];
        RandomNumberGenerator.Shuffle<char>(characters);
        return new string(characters);

        void Take(bool isAllowed, int minimum, string characters, string name)
        {
            if (minimum < 0 || (minimum > 0 && !isAllowed))
            {
                throw new InvalidOperationException($"{name} must be 0 unless its class of characters is allowed, and never negative; got {minimum}.");
            }

            if (isAllowed)
            {
                allowed += characters;
                required.AddRange(RandomNumberGenerator.GetItems<char>(characters, minimum));
            }
        }
    }

    public override void WriteToManifest(ManifestPublishingContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        var writer = context.Writer;
        writer.WriteStartObject("generate");
        writer.WriteNumber("minLength", MinLength);
        Flag("lower", Lower);
        Flag("upper", Upper);
        Flag("numeric", Numeric);
        Flag("special", Special);
        Minimum("minLower", MinLower);
        Minimum("minUpper", MinUpper);
        Minimum("minNumeric", MinNumeric);
        Minimum("minSpecial", MinSpecial);
        writer.WriteEndObject();

        void Flag(string name, bool value)
        {
            if (!value)
            {
                writer.WriteBoolean(name, false);
            }
        }

        void Minimum(string name, int value)
        {
            if (value != 0)
            {
                writer.WriteNumber(name, value);
            }
        }
    }
}

/// <summary>A constant that is published as the default.</summary>
internal sealed class ConstantParameterDefault(Func<string> value) : ParameterDefault
{
    public override string GetDefaultValue() => value();

    public override void WriteToManifest(ManifestPublishingContext context) => context.Writer.WriteString("value", value());
}

/// <summary>A generated default that is kept, so that the next run finds the same value.</summary>
internal sealed class PersistedParameterDefault(
    UserSecretsFile secrets, string configurationKey, ParameterDefault generated) : ParameterDefault
{
    public override string GetDefaultValue() => secrets.GetOrAdd(configurationKey, generated.GetDefaultValue);

    public override void WriteToManifest(ManifestPublishingContext context) => generated.WriteToManifest(context);
}
