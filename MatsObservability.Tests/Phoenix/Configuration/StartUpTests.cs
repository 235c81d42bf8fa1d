using MatsObservability.ServiceDefaults;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Phoenix.Service.Configuration;

namespace MatsObservability.Tests.Phoenix.Configuration;

public sealed class StartUpTests
{
    [Theory]
    [InlineData(null, 0)]
    [InlineData("the schema is newer than this program", ExitCodes.Settings)]
    public async Task Run_UntilStopped_EndsWithTheExitCodeOfItsReason(string? fault, int exitCode)
    {
        var ended = await StartUp.RunAsync(() =>
        {
            var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
            builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
            builder.Services.AddSingleton<FatalFault>();
            var app = builder.Build();
            var lifetime = app.Services.GetRequiredService<IHostApplicationLifetime>();
            lifetime.ApplicationStarted.Register(() =>
            {
                if (fault is null)
                {
                    lifetime.StopApplication();
                }
                else
                {
                    app.Services.GetRequiredService<FatalFault>().Declare(fault);
                }
            });
            return app;
        }).WaitAsync(TimeSpan.FromSeconds(60));

        Assert.Equal(exitCode, ended);
    }
}
