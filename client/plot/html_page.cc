#include "client/plot/html_page.h"

#include "client/plot/palette.h"
#include "client/plot/svg_writer.h"

namespace equipoise::plot {
namespace {

constexpr const char* kPageStyle = R"css(
:root { color-scheme: light dark; }
body { margin: 0 auto; padding: 28px 32px 60px; max-width: 1440px; background: var(--paper); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 6px; }
h2 { font-size: 20px; margin: 44px 0 8px; padding-bottom: 5px; border-bottom: 1px solid var(--grid); }
h3 { font-size: 16px; margin: 30px 0 4px; }
p, ul, dl { max-width: 86ch; }
a { color: var(--blue); }
dt { font-weight: 600; margin-top: 8px; }
dd { margin: 0 0 0 1.2em; }
.lede { font-size: 16px; }
.note { color: var(--muted); font-size: 13.5px; }
sub, sup { line-height: 0; font-size: 75%; }
.row { display: grid; gap: 18px 20px; margin: 12px 0 20px; grid-template-columns: repeat(4, minmax(0, 1fr)); }
.row.three { grid-template-columns: repeat(3, minmax(0, 1fr)); max-width: 1180px; }
@media (max-width: 1100px) { .row, .row.three { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
@media (max-width: 620px) { .row, .row.three { grid-template-columns: minmax(0, 1fr); } body { padding: 16px; } }
figure { margin: 0; break-inside: avoid; }
.legend { font-size: 13.5px; color: var(--muted); max-width: none; }
.legend span { margin-right: 18px; white-space: nowrap; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13.5px; line-height: 1.4; margin: 12px 0; }
th, td { text-align: left; vertical-align: top; padding: 6px 14px 6px 0; border-bottom: 1px solid var(--grid); }
thead th { border-bottom: 1.5px solid var(--axis); vertical-align: bottom; }
tbody th { font-weight: 500; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td .note, th .note { display: block; font-size: 12.5px; font-weight: 400; }
.good { color: var(--green); font-weight: 600; }
.bad { color: var(--vermilion); font-weight: 600; }
@media print { body { max-width: none; padding: 0; font-size: 11px; } h2 { break-after: avoid; } }
)css";

}  // namespace

std::string html_page(std::string_view title, std::string_view body) {
  std::string page = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n";
  page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n";
  page += "<title>" + escape_xml(title) + "</title>\n<style>" + plot_style_sheet() + kPageStyle + "</style>\n</head>\n";
  page += "<body>\n";
  page += body;
  page += "</body>\n</html>\n";
  return page;
}

}  // namespace equipoise::plot
