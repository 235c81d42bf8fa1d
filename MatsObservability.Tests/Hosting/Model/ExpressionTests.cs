using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using FsCheck;
using FsCheck.Fluent;

namespace MatsObservability.Tests.Hosting.Model;

[Trait("Req", "B018")]
public sealed class ExpressionTests
{
    [Fact]
    public async Task Create_TextAndValues_KeepsOrderFormatsAndPlaceholders()
    {
        var builder = TestModel.Create("Parameters:user=a b", "Parameters:key=c/d");
        var user = builder.AddParameter("user");
        var key = builder.AddParameter("key");

        var expression = ReferenceExpression.Create($"u={user};k={key.Resource:uri};n={"text"}");

        Assert.Equal("u={0};k={1};n=text", expression.Format);
        Assert.Equal(["{user.value}", "{key.value}"], expression.ManifestExpressions);
        Assert.Equal([null, "uri"], expression.StringFormats);
        Assert.Equal("u={user.value};k={key.value};n=text", expression.ValueExpression);
        Assert.Equal("u=a b;k=c%2Fd;n=text", await expression.GetValueAsync());
    }

    [Fact]
    public void Create_AnyLiteral_ComesBackUnchanged() => Prop.ForAll<string>(literal =>
    {
        var expression = ReferenceExpression.Create($"{literal}");
        var expected = literal ?? "";
        return expression.ValueExpression == expected && expression.GetValueAsync().AsTask().GetAwaiter().GetResult() == expected;
    }).QuickCheckThrowOnFailure();

    [Fact]
    public async Task Builder_PiecesAndInterpolation_GiveOneExpression()
    {
        var builder = TestModel.Create("Parameters:p=v");
        var parameter = builder.AddParameter("p").Resource;
        var expression = new ReferenceExpressionBuilder();
        Assert.True(expression.IsEmpty);

        expression.AppendLiteral("{a}");
        expression.Append($"-{parameter}-");
        expression.AppendValueProvider(parameter, "uri");

        Assert.Equal("{a}-v-v", await expression.Build().GetValueAsync());
        Assert.Throws<ArgumentException>(() => expression.AppendValueProvider(new object()));
    }

    [Fact]
    public async Task GetValue_UnknownFormat_IsRefused()
    {
        var parameter = TestModel.Create("Parameters:p=v").AddParameter("p").Resource;

        await Assert.ThrowsAsync<FormatException>(async () => await ReferenceExpression.Create($"{parameter:hex}").GetValueAsync());
    }

    [Fact]
    public void Database_NameWithSpecialCharacters_IsQuotedInTheConnectionStringAndEncodedInTheUri()
    {
        var database = TestModel.CreateForPublishing().AddPostgres("pg").AddDatabase("db", "a;b c").Resource;

        Assert.Equal("{pg.connectionString};Database=\"a;b c\"", database.ConnectionStringExpression.ValueExpression);
        Assert.EndsWith("/a%3Bb%20c", database.UriExpression.ValueExpression, StringComparison.Ordinal);
    }

    [Fact]
    public void ConnectionProperty_AddedOrReplaced_IsWhatConsumersGet()
    {
        var database = TestModel.CreateForPublishing().AddPostgres("pg").AddDatabase("db").WithConnectionProperty("Host", "proxy")
            .WithConnectionProperty("SslMode", "Require").Resource;

        Assert.Equal("proxy", database.GetConnectionProperty("Host").ValueExpression);
        Assert.Equal("Require", database.GetConnectionProperty("SslMode").ValueExpression);
        Assert.Throws<KeyNotFoundException>(() => database.GetConnectionProperty("None"));
    }
}
