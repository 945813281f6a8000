// Writes well-formed SVG: every element that is opened is closed, every text and attribute is escaped.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace equipoise::plot {

// &, <, > and quotes as XML and HTML have them; control characters that neither allows are left out.
std::string escape_xml(std::string_view text);

// A length in pixels with at most two decimals: "12", "0.25". The same on every machine.
std::string pixel_text(double pixels);

struct Attribute {
  Attribute(std::string_view name_, std::string_view value_) : name(name_), value(value_) {}
  Attribute(std::string_view name_, const char* value_) : name(name_), value(value_) {}
  Attribute(std::string_view name_, double pixels) : name(name_), value(pixel_text(pixels)) {}
  std::string name;
  std::string value;
};

struct Point {
  double x = 0;
  double y = 0;
};

struct PlotSize {
  double width = 340;
  double height = 240;
};

enum class Anchor { kStart, kMiddle, kEnd };

// Not thread-safe.
class SvgWriter {
 public:
  // `description` is what a screen reader says instead of the picture.
  SvgWriter(PlotSize size, std::string_view description);

  void open(std::string_view element, std::initializer_list<Attribute> attributes);
  void close();
  void element(std::string_view name, std::initializer_list<Attribute> attributes);
  void line(Point from, Point to, std::string_view css_class);
  void text(Point at, Anchor anchor, std::string_view css_class, std::string_view text);
  // Reads from bottom to top, centred on `at`.
  void vertical_text(Point at, std::string_view css_class, std::string_view text);

  // Closes what is open. The writer is used up.
  std::string finish();

 private:
  void start(std::string_view name, std::initializer_list<Attribute> attributes, std::string_view end);

  std::string text_;
  std::vector<std::string> open_;
};

}  // namespace equipoise::plot
