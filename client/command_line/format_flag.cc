#include "client/command_line/format_flag.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

namespace equipoise {
namespace {

constexpr std::array<std::pair<const char*, TableFormat>, 4> kFormats = {{{"text", TableFormat::kText},
                                                                          {"markdown", TableFormat::kMarkdown},
                                                                          {"csv", TableFormat::kCsv},
                                                                          {"latex", TableFormat::kLatex}}};

}  // namespace

void add_format_flag(CLI::App& verb, TableFormat& format) {
  std::vector<std::string> names;
  for (const auto& known : kFormats) names.emplace_back(known.first);
  const auto set = [&format](const std::string& name) {
    format = std::ranges::find(kFormats, name, [](const auto& known) { return std::string(known.first); })->second;
  };
  verb.add_option_function<std::string>("--format", set,
                                        "Of the table: text, markdown, csv or latex; the table alone goes to standard "
                                        "output then (default: text)")
      ->type_name("FORMAT")
      ->check(CLI::IsMember(names));
}

}  // namespace equipoise
