#include "client/plot/palette.h"

#include "client/plot/svg_writer.h"
#include "common/base/error.h"

namespace equipoise::plot {
namespace {

constexpr const char* kStyleSheet = R"css(
:root {
  --paper: #ffffff; --text: #1c1e21; --muted: #5b6068; --grid: #e4e6ea; --axis: #8a9099;
  --vermilion: #c24e00; --blue: #0072b2; --green: #00845f; --purple: #b0568a; --orange: #b57600; --sky: #2f8fc4;
  --grey: #6b7280;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15171a; --text: #e8eaed; --muted: #a3a9b3; --grid: #2a2e34; --axis: #6d747e;
    --vermilion: #ff8a47; --blue: #5ab4ee; --green: #2fd0a0; --purple: #e69cc6; --orange: #f0b13c; --sky: #8fd0f5;
    --grey: #9aa1ac;
  }
}
.plot { display: block; width: 100%; height: auto; overflow: visible;
  font: 11px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
.plot text { fill: var(--muted); }
.plot .title { fill: var(--text); font-weight: 600; font-size: 12px; }
.plot .axis-title { fill: var(--muted); }
.plot .value { fill: var(--text); }
.plot .grid { stroke: var(--grid); stroke-width: 1; }
.plot .axis { stroke: var(--axis); stroke-width: 1; }
.plot .whisker { stroke: var(--text); stroke-width: 1.2; }
.plot .curve { fill: none; stroke: var(--ink); stroke-width: 1.8; stroke-linejoin: round; }
.plot .band { fill: var(--ink); stroke: none; opacity: 0.16; }
.plot .bar { fill: var(--ink); opacity: 0.85; }
.plot .marker { fill: var(--ink); }
.plot text.label { fill: var(--ink); font-weight: 600; stroke: var(--paper); stroke-width: 3px; paint-order: stroke; }
.ink-vermilion { --ink: var(--vermilion); }
.ink-blue { --ink: var(--blue); }
.ink-green { --ink: var(--green); }
.ink-purple { --ink: var(--purple); }
.ink-orange { --ink: var(--orange); }
.ink-sky { --ink: var(--sky); }
.ink-grey { --ink: var(--grey); }
.plot .stroke-dashed { stroke-dasharray: 7 3; }
.plot .stroke-dotted { stroke-dasharray: 2 2.5; }
.plot .stroke-dash-dotted { stroke-dasharray: 8 3 2 3; }
.legend-key { display: inline-block; width: 28px; height: 10px; vertical-align: middle; margin-right: 5px; }
)css";

}  // namespace

std::string_view ink_class(Ink ink) {
  switch (ink) {
    case Ink::kVermilion:
      return "ink-vermilion";
    case Ink::kBlue:
      return "ink-blue";
    case Ink::kGreen:
      return "ink-green";
    case Ink::kPurple:
      return "ink-purple";
    case Ink::kOrange:
      return "ink-orange";
    case Ink::kSky:
      return "ink-sky";
    case Ink::kGrey:
      return "ink-grey";
  }
  check_failed("an ink of the palette", __FILE__, __LINE__);
}

std::string_view stroke_class(Stroke stroke) {
  switch (stroke) {
    case Stroke::kSolid:
      return "stroke-solid";
    case Stroke::kDashed:
      return "stroke-dashed";
    case Stroke::kDotted:
      return "stroke-dotted";
    case Stroke::kDashDotted:
      return "stroke-dash-dotted";
  }
  check_failed("a stroke of the palette", __FILE__, __LINE__);
}

std::string plot_style_sheet() { return kStyleSheet; }

std::string legend_key(Ink ink, Stroke stroke) {
  const std::string curve = "curve " + std::string(ink_class(ink)) + " " + std::string(stroke_class(stroke));
  return "<svg class=\"plot legend-key\" viewBox=\"0 0 28 10\" aria-hidden=\"true\"><path d=\"M1 5H27\" class=\"" +
         curve + "\"/></svg>";
}

}  // namespace equipoise::plot
