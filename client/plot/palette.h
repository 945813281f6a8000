// The colours and dashes of all plots: Okabe and Ito's palette, which people with colour-blindness tell apart, in a
// brighter set on dark pages. Every ink also has a dash of its own, so that a plot can be read in black and white.
#pragma once

#include <string>
#include <string_view>

namespace equipoise::plot {

enum class Ink { kVermilion, kBlue, kGreen, kPurple, kOrange, kSky, kGrey };
enum class Stroke { kSolid, kDashed, kDotted, kDashDotted };

// CSS classes: "ink-vermilion", "stroke-dashed".
std::string_view ink_class(Ink ink);
std::string_view stroke_class(Stroke stroke);

// A style sheet for the pictures: light, and dark where the reader's system asks for it. The page that embeds pictures
// puts it in its <style>.
std::string plot_style_sheet();

// A short piece of the line, for a legend in the text of a page: an <svg> element.
std::string legend_key(Ink ink, Stroke stroke);

}  // namespace equipoise::plot
