using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using FsCheck;
using FsCheck.Fluent;
using Microsoft.Extensions.Configuration.UserSecrets;

namespace MatsObservability.Tests.Hosting.Model;

[Trait("Req", "B018")]
public sealed class ParameterTests
{
    private const string Lower = "abcdefghjkmnpqrstuvwxyz";
    private const string Upper = "ABCDEFGHJKMNPQRSTUVWXYZ";
    private const string Numeric = "0123456789";
    private const string Special = "-_.{}~()*+!";

    [Theory]
    [InlineData("Parameters:openai-api-key=v")]
    [InlineData("Parameters:openai_api_key=v")]
    public async Task Value_FromConfiguration_MaySpellHyphensAsUnderscores(string setting)
    {
        Assert.Equal("v", await TestModel.Create(setting).AddParameter("openai-api-key").Resource.GetValueAsync());
    }

    [Fact]
    public async Task Value_Missing_NamesTheKey()
    {
        var parameter = TestModel.Create().AddParameter("absent-key").Resource;

        var failure = await Assert.ThrowsAsync<MissingParameterValueException>(async () => await parameter.GetValueAsync());

        Assert.Contains("'Parameters:absent-key'", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Value_GivenInTheModel_IgnoresConfiguration()
    {
        Assert.Equal("model", await TestModel.Create("Parameters:p=configuration").AddParameter("p", "model").Resource.GetValueAsync());
    }

    [Fact]
    public async Task Value_OfAnyConfigurationKey_IsRead()
    {
        Assert.Equal("v", await TestModel.Create("Some:Key=v").AddParameterFromConfiguration("p", "Some:Key").Resource.GetValueAsync());
    }

    [Fact]
    public void Secret_PublishedAsDefault_IsRefused()
    {
        var failure = Assert.Throws<ArgumentException>(
            () => TestModel.Create().AddParameter("p", "v", publishValueAsDefault: true, secret: true));

        Assert.StartsWith("A parameter cannot be both secret and published as a default value.", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task GeneratedPassword_OfAServer_StaysOutOfTheModelAndYieldsToConfiguration()
    {
        var builder = TestModel.Create("Parameters:postgres-password=given");
        var password = builder.AddPostgres("postgres").Resource.PasswordParameter;

        Assert.Equal("postgres-password", password.Name);
        Assert.True(password.Secret);
        Assert.DoesNotContain(builder.Resources, resource => resource.Name == password.Name);
        Assert.Equal("given", await password.GetValueAsync());
    }

    [Fact]
    public void Generated_AnyPolicy_HoldsTheMinimaAndOnlyAllowedCharacters()
    {
        var policies = from length in Gen.Choose(1, 60)
                       from flags in Gen.Choose(1, 15)
                       from minima in Gen.Choose(0, 6).ArrayOf(4)
                       select (length, flags, minima);

        Prop.ForAll(policies.ToArbitrary(), policy =>
        {
            var (length, flags, minima) = policy;
            string[] classes = [Lower, Upper, Numeric, Special];
            int[] required = [.. minima.Select((minimum, i) => (flags & (1 << i)) != 0 ? minimum : 0)];
            var generated = new GenerateParameterDefault
            {
                MinLength = length,
                Lower = (flags & 1) != 0,
                Upper = (flags & 2) != 0,
                Numeric = (flags & 4) != 0,
                Special = (flags & 8) != 0,
                MinLower = required[0],
                MinUpper = required[1],
                MinNumeric = required[2],
                MinSpecial = required[3],
            }.GetDefaultValue();

            return generated.Length == Math.Max(length, required.Sum())
                && classes.Select((characters, i) => generated.Count(characters.Contains) >= required[i]).All(holds => holds)
                && generated.All(c => classes.Where((_, i) => (flags & (1 << i)) != 0).Any(characters => characters.Contains(c)));
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Generated_Default_Has22CharactersAndDiffersEachTime()
    {
        var first = new GenerateParameterDefault().GetDefaultValue();

        Assert.Equal(22, first.Length);
        Assert.NotEqual(first, new GenerateParameterDefault().GetDefaultValue());
    }

    [Fact]
    public void Generated_MinimumOfAForbiddenClass_IsRefused()
    {
        Assert.Throws<InvalidOperationException>(() => new GenerateParameterDefault { Special = false, MinSpecial = 1 }.GetDefaultValue());
        Assert.Throws<InvalidOperationException>(
            () => new GenerateParameterDefault { Lower = false, Upper = false, Numeric = false, Special = false }.GetDefaultValue());
    }

    [Fact]
    public async Task UserSecrets_AskedAtOnce_KeepOneValueThatOnlyTheirOwnerReads()
    {
        var id = $"mats-test-{Guid.NewGuid():N}";
        var path = PathHelper.GetSecretsPathFromSecretsId(id);
        try
        {
            var asked = await Task.WhenAll(
                Enumerable.Range(0, 8).Select(i => Task.Run(() => new UserSecretsFile(id).GetOrAdd("Parameters:p", () => $"value-{i}"))));
            var other = new UserSecretsFile(id).GetOrAdd("Parameters:q", () => "other");

            Assert.Single(asked.Distinct());
            Assert.Equal("other", other);
            Assert.Equal(asked[0],
                new UserSecretsFile(id).GetOrAdd("Parameters:p", () => throw new InvalidOperationException("The value is stored.")));
            Assert.True(OperatingSystem.IsWindows() || File.GetUnixFileMode(path) == (UnixFileMode.UserRead | UnixFileMode.UserWrite));
        }
        finally
        {
            Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);
        }
    }

    [Fact]
    public void UserSecrets_UnreadableFile_NamesTheKeyToSet()
    {
        var id = $"mats-test-{Guid.NewGuid():N}";
        var path = PathHelper.GetSecretsPathFromSecretsId(id);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        try
        {
            File.WriteAllText(path, "{ not json");

            var failure = Assert.Throws<DistributedApplicationException>(() => new UserSecretsFile(id).GetOrAdd("Parameters:p", () => "v"));

            Assert.Contains("Set 'Parameters:p' in the configuration instead.", failure.Message, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);
        }
    }
}
