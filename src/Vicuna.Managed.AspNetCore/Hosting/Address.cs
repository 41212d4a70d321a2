using System.Net;
using Microsoft.AspNetCore.Http;

namespace Vicuna.Managed.AspNetCore.Hosting;

/// <summary>Where a server listens.</summary>
internal static class Address
{
    /// <summary>Whether only programs of this machine get to an address; not so where it is of an unknown form.</summary>
    /// <param name="address">The address as the server gives it, such as <c>http://127.0.0.1:5000</c>, <c>http://[::]:80</c> or <c>http://*:80</c>.</param>
    public static bool IsLocal(string address)
    {
        try
        {
            BindingAddress parsed = BindingAddress.Parse(address);
            return parsed.IsUnixPipe || parsed.IsNamedPipe || parsed.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
                || (IPAddress.TryParse(parsed.Host.Trim('[', ']'), out IPAddress? number) && IPAddress.IsLoopback(number));
        }
        catch (FormatException)
        {
            return false;
        }
    }
}
