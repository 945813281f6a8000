#include "client/plot/svg_writer.h"

#include <array>
#include <charconv>
#include <cmath>

#include "common/base/error.h"

namespace equipoise::plot {

std::string escape_xml(std::string_view text) {
  std::string escaped;
  for (const char character : text) {
    switch (character) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(character) >= 0x20 || character == '\n' || character == '\t') {
          escaped += character;
        }
    }
  }
  return escaped;
}

std::string pixel_text(double pixels) {
  EQUIPOISE_CHECK(std::abs(pixels) < 1e9);
  std::array<char, 32> buffer{};
  const double rounded = std::round(pixels * 100) / 100;
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), rounded == 0 ? 0.0 : rounded,
                                    std::chars_format::fixed, 2);
  std::string text(buffer.data(), result.ptr);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

SvgWriter::SvgWriter(PlotSize size, std::string_view description) {
  const std::string box =
      std::string("0 0 ").append(pixel_text(size.width)).append(" ").append(pixel_text(size.height));
  open("svg", {{"xmlns", "http://www.w3.org/2000/svg"},
               {"viewBox", box},
               {"class", "plot"},
               {"role", "img"},
               {"aria-label", description}});
}

void SvgWriter::start(std::string_view name, std::initializer_list<Attribute> attributes, std::string_view end) {
  text_.append("<").append(name);
  for (const Attribute& attribute : attributes) {
    text_.append(" ").append(attribute.name).append("=\"").append(escape_xml(attribute.value)).append("\"");
  }
  text_ += end;
}

void SvgWriter::open(std::string_view element, std::initializer_list<Attribute> attributes) {
  start(element, attributes, ">\n");
  open_.emplace_back(element);
}

void SvgWriter::close() {
  EQUIPOISE_CHECK(!open_.empty());
  text_.append("</").append(open_.back()).append(">\n");
  open_.pop_back();
}

void SvgWriter::element(std::string_view name, std::initializer_list<Attribute> attributes) {
  start(name, attributes, "/>\n");
}

void SvgWriter::line(Point from, Point to, std::string_view css_class) {
  element("line", {{"x1", from.x}, {"y1", from.y}, {"x2", to.x}, {"y2", to.y}, {"class", css_class}});
}

void SvgWriter::text(Point at, Anchor anchor, std::string_view css_class, std::string_view text) {
  const char* side = anchor == Anchor::kStart ? "start" : anchor == Anchor::kMiddle ? "middle" : "end";
  start("text", {{"x", at.x}, {"y", at.y}, {"text-anchor", side}, {"class", css_class}}, ">");
  text_ += escape_xml(text) + "</text>\n";
}

void SvgWriter::vertical_text(Point at, std::string_view css_class, std::string_view text) {
  const std::string turn =
      std::string("translate(").append(pixel_text(at.x)).append(" ").append(pixel_text(at.y)).append(") rotate(-90)");
  start("text", {{"transform", turn}, {"text-anchor", "middle"}, {"class", css_class}}, ">");
  text_ += escape_xml(text) + "</text>\n";
}

std::string SvgWriter::finish() {
  while (!open_.empty()) close();
  return std::move(text_);
}

}  // namespace equipoise::plot
