using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Legends;
using OxyPlot.Series;

namespace Vicuna.Managed.Cli;

/// <summary>Draws charts as SVG files: on white, so that they are readable in dark viewers too.</summary>
internal static class Charts
{
    private const int Width = 960;
    private const int Height = 540;

    // More points than pixels only make the file large.
    private const int MaxPoints = 1000;
    private const double FontSize = 15;

    // Told apart by people who do not see all colors too (Okabe & Ito 2008).
    private static readonly OxyColor[] Colors =
    [
        OxyColor.FromRgb(0x00, 0x72, 0xB2), OxyColor.FromRgb(0xD5, 0x5E, 0x00), OxyColor.FromRgb(0x00, 0x9E, 0x73),
        OxyColor.FromRgb(0xCC, 0x79, 0xA7), OxyColor.FromRgb(0xE6, 0x9F, 0x00), OxyColor.FromRgb(0x56, 0xB4, 0xE9),
    ];

    private static readonly OxyColor Ink = OxyColor.FromRgb(0x22, 0x22, 0x22);
    private static readonly OxyColor Faint = OxyColor.FromRgb(0xE4, 0xE4, 0xE4);
    private static readonly OxyColor Pale = OxyColor.FromRgb(0xB5, 0xC7, 0xD6);

    /// <summary>Draws lines.</summary>
    /// <param name="path">The file; one that is there is replaced.</param>
    /// <param name="title">What the chart shows.</param>
    /// <param name="xTitle">What goes to the right.</param>
    /// <param name="yTitle">What goes up, with its unit.</param>
    /// <param name="series">The lines; those in the background come first.</param>
    public static void Lines(string path, string title, string xTitle, string yTitle, IReadOnlyList<ChartSeries> series)
    {
        PlotModel model = NewModel(title);
        model.Axes.Add(NewAxis(new LinearAxis { Position = AxisPosition.Bottom, MinimumPadding = 0.01, MaximumPadding = 0.02 }, xTitle));
        model.Axes.Add(NewAxis(new LinearAxis { Position = AxisPosition.Left, MinimumPadding = 0.05, MaximumPadding = 0.05 }, yTitle));
        int color = 0;
        foreach (ChartSeries one in series.Where(one => one.Points.Count > 0))
        {
            OxyColor ink = one.IsBackground ? Pale : Colors[color++ % Colors.Length];
            LineSeries line = new()
            {
                Title = one.Name,
                Color = ink,
                StrokeThickness = one.IsBackground ? 1 : 2.5,
                LineJoin = LineJoin.Round,
                MarkerType = one.HasMarks ? MarkerType.Circle : MarkerType.None,
                MarkerSize = 4.5,
                MarkerFill = ink,
                MarkerStroke = OxyColors.White,
                MarkerStrokeThickness = 1.5,
            };
            line.Points.AddRange(Thinned(one.Points));
            model.Series.Add(line);
        }

        if (model.Series.Count > 1)
        {
            model.Legends.Add(new Legend
            {
                LegendPosition = LegendPosition.TopRight,
                LegendPlacement = LegendPlacement.Inside,
                LegendBackground = OxyColor.FromAColor(0xE0, OxyColors.White),
                LegendBorder = Faint,
                LegendFontSize = FontSize - 1,
                LegendPadding = 10,
                LegendMargin = 12,
                LegendSymbolLength = 28,
                LegendTextColor = Ink,
            });
        }

        Write(path, model);
    }

    /// <summary>Draws a bar for every label.</summary>
    /// <param name="path">The file; one that is there is replaced.</param>
    /// <param name="title">What the chart shows.</param>
    /// <param name="xTitle">What the labels are.</param>
    /// <param name="yTitle">What the bars' heights are, with the unit.</param>
    /// <param name="labels">Below the bars, <c>[n]</c>.</param>
    /// <param name="values">Heights, <c>[n]</c>.</param>
    /// <param name="highlighted">Indices of bars that stand out in color.</param>
    public static void Bars(
        string path, string title, string xTitle, string yTitle, IReadOnlyList<string> labels, IReadOnlyList<double> values, IReadOnlyCollection<int> highlighted)
    {
        const string LabelAxis = "labels";
        const string ValueAxis = "values";
        PlotModel model = NewModel(title);
        CategoryAxis bottom = new() { Position = AxisPosition.Bottom, Key = LabelAxis, GapWidth = 0.35, IsTickCentered = true };
        NewAxis(bottom, xTitle).MajorGridlineStyle = LineStyle.None;

        // Labels that would run into each other are left out at even distances.
        int room = labels.Count == 0 ? 1 : Math.Max(1, (int)Math.Ceiling(labels.Max(label => label.Length + 1) * FontSize * 0.6 * labels.Count / (Width * 0.85)));
        bottom.Labels.AddRange(labels.Select((label, i) => i % room == 0 ? label : ""));
        model.Axes.Add(bottom);
        LinearAxis left = new() { Position = AxisPosition.Left, Key = ValueAxis, MinimumPadding = values.Any(value => value < 0) ? 0.05 : 0, MaximumPadding = 0.06 };
        model.Axes.Add(NewAxis(left, yTitle));
        BarSeries bars = new() { XAxisKey = ValueAxis, YAxisKey = LabelAxis, StrokeThickness = 0, BaseValue = 0 };
        bars.Items.AddRange(values.Select((value, i) => new BarItem
        {
            Value = double.IsFinite(value) ? value : 0,
            CategoryIndex = i,
            Color = highlighted.Contains(i) ? Colors[1] : Colors[0],
        }));
        model.Series.Add(bars);
        Write(path, model);
    }

    private static PlotModel NewModel(string title) => new()
    {
        Title = title,
        TitleFontSize = FontSize + 4,
        TitleFontWeight = FontWeights.Bold,
        TitlePadding = 12,
        TitleColor = Ink,
        TextColor = Ink,
        DefaultFont = "Arial",
        DefaultFontSize = FontSize,
        Background = OxyColors.White,
        PlotAreaBorderThickness = new OxyThickness(1, 0, 0, 1),
        PlotAreaBorderColor = Ink,
        Padding = new OxyThickness(18, 14, 26, 14),
        Culture = System.Globalization.CultureInfo.InvariantCulture,
    };

    private static Axis NewAxis(Axis axis, string title)
    {
        axis.Title = title;
        axis.TitleFontSize = FontSize;
        axis.FontSize = FontSize - 1;
        axis.AxisTitleDistance = 10;
        axis.MajorGridlineStyle = LineStyle.Solid;
        axis.MajorGridlineColor = Faint;
        axis.MajorGridlineThickness = 1;
        axis.MinorTickSize = 0;
        axis.MajorTickSize = 5;
        axis.TicklineColor = Ink;
        axis.TextColor = Ink;
        axis.TitleColor = Ink;
        return axis;
    }

    // Means of as many neighbors as it takes.
    private static IEnumerable<DataPoint> Thinned(IReadOnlyList<(double X, double Y)> points)
    {
        (double X, double Y)[] finite = [.. points.Where(point => double.IsFinite(point.X) && double.IsFinite(point.Y))];
        return finite.Chunk(Math.Max(1, (finite.Length + MaxPoints - 1) / MaxPoints))
            .Select(chunk => new DataPoint(chunk.Average(point => point.X), chunk.Average(point => point.Y)));
    }

    private static void Write(string path, PlotModel model)
    {
        string temporary = $"{path}.{Path.GetRandomFileName()}.tmp";
        try
        {
            using (FileStream stream = new(temporary, FileMode.CreateNew, FileAccess.Write))
            {
                SvgExporter exporter = new() { Width = Width, Height = Height, UseVerticalTextAlignmentWorkaround = true };
                exporter.TextMeasurer = new ChartTextMeasurer(Width, Height);
                exporter.Export(model, stream);
            }

            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }
}
