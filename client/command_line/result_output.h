// How a verb shows what it has found: -o FORMAT, and --json for -o json. Every verb with a result shows it here.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "client/console/console.h"
#include "client/table/text_table.h"

namespace equipoise {

enum class ResultFormat : std::uint8_t {
  kText,  // for people
  kWide,  // the same with all columns
  kJson,
  kYaml,  // the same values as kJson
  kName,  // ids alone, a line each
  kMarkdown,
  kCsv,
  kLatex
};

// What a verb has found. Each form is made when it is asked for.
struct VerbResult {
  std::function<std::string()> text;
  std::function<std::string()> wide = {};  // empty: as `text`
  std::function<std::string()> json = {};  // one value and a newline
  std::function<std::vector<std::string>()> names = {};
  std::function<std::string(TableFormat)> document = {};  // Markdown, CSV, LaTeX
};

// Who reads the text of a verb whose standard output is no terminal: it is a report, and progress before it a part of
// that; or an id or one line that a script takes, and standard output is the result's alone.
enum class TextFor : std::uint8_t { kPeople, kScripts };

class ResultFlags {
 public:
  // Declares -o, --format and --json on `verb`, for text, wide, json and yaml, and for what `further` names. `this`
  // outlives `verb`.
  void add_to(CLI::App& verb, std::initializer_list<ResultFormat> further = {});

  // Text and wide; of all others nothing but the result goes to standard output.
  bool is_for_people() const { return format_ == ResultFormat::kText || format_ == ResultFormat::kWide; }
  TableDetail detail() const { return format_ == ResultFormat::kWide ? TableDetail::kWide : TableDetail::kUsual; }

  void print(const VerbResult& result, const Console& console) const;

  // Where progress goes: lines on standard error where standard output is the result's alone.
  Console progress_console(const Console& console, TextFor text = TextFor::kPeople) const;

 private:
  ResultFormat format_ = ResultFormat::kText;
};

}  // namespace equipoise
