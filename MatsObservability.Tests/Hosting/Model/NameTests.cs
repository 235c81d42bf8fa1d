using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;

namespace MatsObservability.Tests.Hosting.Model;

[Trait("Req", "B018")]
public sealed class NameTests
{
    [Theory]
    [InlineData("phoenix")]
    [InlineData("a")]
    [InlineData("Otlp-Http-2")]
    [InlineData("a23456789012345678901234567890123456789012345678901234567890-234")]
    public void Name_WithinTheRules_IsTaken(string name)
    {
        Assert.Equal(name, TestModel.Create().AddContainer(name, "repo/c").Resource.Name);
    }

    [Theory]
    [InlineData("", "Name must be between 1 and 64 characters long.")]
    [InlineData("a234567890123456789012345678901234567890123456789012345678901234X", "Name must be between 1 and 64 characters long.")]
    [InlineData("1abc", "Name must start with an ASCII letter.")]
    [InlineData("-abc", "Name must start with an ASCII letter.")]
    [InlineData("a_b", "Name must contain only ASCII letters, digits, and hyphens.")]
    [InlineData("größe", "Name must contain only ASCII letters, digits, and hyphens.")]
    [InlineData("a--b", "Name cannot contain consecutive hyphens.")]
    [InlineData("ab-", "Name cannot end with a hyphen.")]
    public void Name_OutsideTheRules_IsRefusedByTheRuleItBreaks(string name, string rule)
    {
        var builder = TestModel.Create();

        var resource = Assert.Throws<ArgumentException>(() => builder.AddContainer(name, "repo/c"));
        var endpoint = Assert.Throws<ArgumentException>(() => builder.AddContainer("c", "repo/c").WithHttpEndpoint(name: name));

        Assert.Contains($"Resource name '{name}' is invalid. {rule}", resource.Message, StringComparison.Ordinal);
        Assert.Contains($"Endpoint name '{name}' is invalid. {rule}", endpoint.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Name_TakenInAnotherCase_IsRefusedWhenAdded()
    {
        var builder = TestModel.Create();
        builder.AddContainer("cache", "repo/c");

        var failure = Assert.Throws<DistributedApplicationException>(() => builder.AddParameter("Cache"));

        Assert.Contains("with name 'Cache'", failure.Message, StringComparison.Ordinal);
        Assert.Contains("Resource names are case-insensitive", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("phoenix", "phoenix")]
    [InlineData("otlp-grpc", "otlp_grpc")]
    [InlineData("1st", "_1st")]
    [InlineData("a.b-c", "a_b_c")]
    [InlineData("_x9", "_x9")]
    public void EncodeForEnvironment_AnyName_IsAVariableName(string name, string expected) =>
        Assert.Equal(expected, ModelName.EncodeForEnvironment(name));

    [Fact]
    public void CreateResourceBuilder_ByName_FindsTheResourceOrSaysWhy()
    {
        var builder = TestModel.Create();
        var parameter = builder.AddParameter("key");

        Assert.Same(parameter.Resource, builder.CreateResourceBuilder<ParameterResource>("KEY").Resource);
        Assert.False(builder.TryCreateResourceBuilder<ContainerResource>("key", out _));
        Assert.Contains("'other' was not found",
            Assert.Throws<InvalidOperationException>(() => builder.CreateResourceBuilder<ParameterResource>("other")).Message,
            StringComparison.Ordinal);
        Assert.Contains("is not assignable",
            Assert.Throws<InvalidOperationException>(() => builder.CreateResourceBuilder<ContainerResource>("key")).Message,
            StringComparison.Ordinal);
    }
}
