using OxyPlot;

namespace Vicuna.Managed.Cli;

/// <summary>
/// Tells how much room a text takes in an SVG file. The library's own measure is that of PDF, whose font sizes are points of 1/72 inch where SVG has
/// pixels of 1/96: legends and axis titles would be too narrow for their texts.
/// </summary>
internal sealed class ChartTextMeasurer(double width, double height) : PdfRenderContext(width, height, OxyColors.White)
{
    private const double PixelsPerPoint = 96.0 / 72;

    // A viewer without the font that is asked for takes another one; DejaVu Sans, which Linux has, is the widest of the common ones.
    private const double WidestFont = 1.15;

    /// <inheritdoc/>
    public override OxySize MeasureText(string text, string fontFamily, double fontSize, double fontWeight)
    {
        OxySize points = base.MeasureText(text, fontFamily, fontSize, fontWeight);
        return new OxySize(points.Width * PixelsPerPoint * WidestFont, points.Height * PixelsPerPoint);
    }
}
