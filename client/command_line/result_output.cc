#include "client/command_line/result_output.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "client/table/json_document.h"
#include "common/base/error.h"
#include "common/base/message_text.h"

namespace equipoise {
namespace {

struct NamedFormat {
  ResultFormat format;
  const char* name;
};
constexpr std::array kResultFormats = {
    NamedFormat{ResultFormat::kText, "text"},         NamedFormat{ResultFormat::kWide, "wide"},
    NamedFormat{ResultFormat::kJson, "json"},         NamedFormat{ResultFormat::kYaml, "yaml"},
    NamedFormat{ResultFormat::kName, "name"},         NamedFormat{ResultFormat::kCsv, "csv"},
    NamedFormat{ResultFormat::kMarkdown, "markdown"}, NamedFormat{ResultFormat::kLatex, "latex"}};

using Formats = std::vector<NamedFormat>;

Formats accepted_formats(std::initializer_list<ResultFormat> further) {
  Formats accepted;
  for (const NamedFormat& named : kResultFormats) {
    const bool is_usual = named.format <= ResultFormat::kYaml;
    if (is_usual || std::ranges::find(further, named.format) != further.end()) accepted.push_back(named);
  }
  return accepted;
}

std::string joined_names(const Formats& formats, std::string_view between) {
  std::string text;
  for (const NamedFormat& named : formats) text.append(text.empty() ? "" : between).append(named.name);
  return text;
}

ResultFormat format_named(std::string_view name, const Formats& accepted) {
  if (name.starts_with('=')) name.remove_prefix(1);  // -o=json, as kubectl takes it too
  const auto found =
      std::ranges::find(accepted, name, [](const NamedFormat& named) { return std::string_view(named.name); });
  if (found != accepted.end()) return found->format;
  const bool picks =
      name.starts_with("jsonpath") || name.starts_with("go-template") || name.starts_with("custom-columns");
  throw CLI::ValidationError("-o is " + quoted_text(std::string(name)) + ", expected one of: " +
                             joined_names(accepted, ", ") + (picks ? "; `-o json | jq` picks out of it" : ""));
}

TableFormat table_format(ResultFormat format) {
  switch (format) {
    case ResultFormat::kMarkdown:
      return TableFormat::kMarkdown;
    case ResultFormat::kCsv:
      return TableFormat::kCsv;
    case ResultFormat::kLatex:
      return TableFormat::kLatex;
    default:
      return TableFormat::kText;
  }
}

}  // namespace

void ResultFlags::add_to(CLI::App& verb, std::initializer_list<ResultFormat> further) {
  const Formats accepted = accepted_formats(further);
  const auto take = [this, accepted](const std::string& name) { format_ = format_named(name, accepted); };
  CLI::Option* const format =
      verb.add_option_function<std::string>("-o,--format", take, "How the result is shown (default: text)")
          ->type_name(joined_names(accepted, "|"));
  verb.add_flag_callback(
          "--json", [this] { format_ = ResultFormat::kJson; }, "Short for -o json")
      ->excludes(format);
}

void ResultFlags::print(const VerbResult& result, const Console& console) const {
  switch (format_) {
    case ResultFormat::kText:
      console.out << result.text();
      return;
    case ResultFormat::kWide:
      console.out << (result.wide ? result.wide() : result.text());
      return;
    case ResultFormat::kJson:
      console.out << result.json();
      return;
    case ResultFormat::kYaml:
      console.out << yaml_of_json(result.json());
      return;
    case ResultFormat::kName:
      for (const std::string& name : result.names()) console.out << name << "\n";
      return;
    case ResultFormat::kMarkdown:
    case ResultFormat::kCsv:
    case ResultFormat::kLatex:
      console.out << result.document(table_format(format_));
      return;
  }
}

Console ResultFlags::progress_console(const Console& console, TextFor text) const {
  const bool is_shown = text == TextFor::kPeople || console.kind == OutputKind::kTerminal;
  if (is_for_people() && is_shown) return console;
  return {.out = console.err, .err = console.err, .kind = OutputKind::kPlain, .glyphs = console.glyphs};
}

}  // namespace equipoise
