#include "common/dataset/data_fields.h"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "common/base/message_text.h"

namespace equipoise {
namespace {

// Fields that a misspelt one may mean.
constexpr std::array<std::string_view, 10> kMeant = {
    "prompt", "chosen",           "rejected",          "group", "chosen_share", "tools", "chat_template_kwargs",
    "weight", "ref_chosen_logps", "ref_rejected_logps"};

// Words of their own, one letter from a field.
constexpr std::array<std::string_view, 2> kOtherWords = {"height", "eight"};

// Names that other data sets give to what is a prompt here.
constexpr std::array<std::string_view, 4> kPromptElsewhere = {"question", "instruction", "input", "query"};

// Of "Ref-Chosen Logps" the letters and digits in lower case, without an "s" at the end.
std::string skeleton(std::string_view name) {
  std::string letters;
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z') letters += static_cast<char>(c - 'A' + 'a');
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80) letters += c;
  }
  if (letters.ends_with('s')) letters.pop_back();
  return letters;
}

// Whether one letter more, less or other, or two neighbours that change places, make one of the other.
bool is_one_edit_away(std::string_view a, std::string_view b) {
  if (a.size() > b.size()) std::swap(a, b);
  if (b.size() - a.size() > 1) return false;
  const auto [in_a, in_b] = std::ranges::mismatch(a, b);
  const std::string_view rest_a(in_a, a.end()), rest_b(in_b, b.end());
  if (a.size() < b.size()) return rest_a == rest_b.substr(1);
  if (rest_a.size() < 2) return true;
  const bool swapped = rest_a[0] == rest_b[1] && rest_a[1] == rest_b[0] && rest_a.substr(2) == rest_b.substr(2);
  return swapped || rest_a.substr(1) == rest_b.substr(1);
}

bool looks_like(const std::string& found, std::string_view meant) {
  const std::string wanted = skeleton(meant);
  const bool is_other = std::ranges::find(kOtherWords, found) != kOtherWords.end();
  return found == wanted || (!is_other && is_one_edit_away(found, wanted));
}

// Why a field that other programs know has no meaning here.
std::string_view advice(std::string_view name) {
  if (name == "margin" || name == "score_chosen" || name == "score_rejected") {
    return " (of reward models: no loss here has it)";
  }
  if (name == "reference_chosen_logps") return " (perhaps \"ref_chosen_logps\" is meant: rename it)";
  if (name == "reference_rejected_logps") return " (perhaps \"ref_rejected_logps\" is meant: rename it)";
  if (name == "system") return " (a system message is the first of the messages in \"prompt\")";
  if (name == "images" || name == "image" || name == "videos") return " (models of text alone are trained)";
  if (name == "tools" || name == "chat_template_kwargs") return " (of messages alone, and here are texts)";
  return "";
}

std::string unused_note(const DataFields& fields) {
  std::string line = "fields that are not used: ";
  for (const std::string& name : fields.unused) {
    if (&name != &fields.unused.front()) line += ", ";
    line += quoted_text(name);
    line += advice(name);
  }
  return line + (fields.unused.size() == DataFields::kMostUnused ? ", and perhaps more" : "");
}

std::string prompt_note(std::int64_t empty_prompts, std::string_view meant) {
  return "rows whose \"prompt\" is absent or empty: " + std::to_string(empty_prompts) + "; perhaps " +
         quoted_text(meant) + " is meant: rename it to \"prompt\"";
}

}  // namespace

bool DataFields::has(std::string_view name) const { return std::ranges::find(used, name) != used.end(); }

std::vector<std::string> field_notes(const DataFields& fields) {
  std::vector<std::string> notes;
  if (!fields.unused.empty()) notes.push_back(unused_note(fields));
  const auto meant = std::ranges::find_first_of(fields.unused, kPromptElsewhere);
  if (fields.empty_prompts > 0 && meant != fields.unused.end()) {
    notes.push_back(prompt_note(fields.empty_prompts, *meant));
  }
  if (fields.other_roles > 0) {
    notes.push_back("pairs with an answer whose role is not \"assistant\": " + std::to_string(fields.other_roles) +
                    "; a chat template may render it otherwise or leave it out");
  }
  return notes;
}

std::vector<std::string> notes_of_files(std::span<const FileNote> notes) {
  std::vector<std::string> lines;
  for (auto first = notes.begin(); first != notes.end(); ++first) {
    const auto is_same = [&](const FileNote& other) { return other.note == first->note; };
    if (std::any_of(notes.begin(), first, is_same)) continue;
    const auto more = std::count_if(first, notes.end(), is_same) - 1;
    const std::string others =
        more == 0 ? "" : " and " + std::to_string(more) + (more == 1 ? " more file" : " more files");
    lines.push_back(first->file + others + ": " + first->note);
  }
  return lines;
}

void FieldChecks::note_unused(std::string_view name) {
  if (std::ranges::find(fields_.unused, name) != fields_.unused.end()) return;
  if (fields_.unused.size() == DataFields::kMostUnused) return;
  fields_.unused.emplace_back(name);
  const std::string found = skeleton(name);
  for (const std::string_view meant : kMeant) {
    if (name != meant && looks_like(found, meant)) lookalikes_.push_back({std::string(name), std::string(meant)});
  }
}

void FieldChecks::check(std::span<const FieldPresence> row, const FirstRow& first_row) {
  if (first_.empty()) {
    for (const FieldPresence& field : row) first_.push_back(field.given);
    used_.resize(row.size());
  }
  bool lacks_some = false;
  for (std::size_t i = 0; i < row.size(); ++i) {
    const FieldPresence& field = row[i];
    if (field.on_all_rows && field.given != first_[i]) {
      throw std::invalid_argument("field \"" + std::string(field.name) + "\" is " +
                                  (field.given ? "there" : "missing") + ", but not on " + first_row.place() +
                                  ", expected all " + std::string(first_row.word) + "s to have one or none");
    }
    lacks_some = lacks_some || !field.given;
    if (!field.given || used_[i]) continue;
    used_[i] = true;
    fields_.used.emplace_back(field.name);
  }
  if (lacks_some && !lookalikes_.empty()) check_lookalikes(row);
}

void FieldChecks::check_lookalikes(std::span<const FieldPresence> row) const {
  for (const FieldPresence& field : row) {
    if (field.given) continue;
    const auto found = std::ranges::find(lookalikes_, field.name, &Lookalike::meant);
    if (found == lookalikes_.end()) continue;
    throw std::invalid_argument("field \"" + std::string(field.name) + "\" is missing where there is " +
                                quoted_text(found->found) + ", expected that name or another: rename it" +
                                (field.name == "group" ? ", or name it as a group column" : ""));
  }
}

FileFields file_fields(std::string file, DataFields fields, const std::vector<std::string>& group_columns,
                       bool is_one_group) {
  const bool is_usual = !is_one_group && group_columns == std::vector<std::string>{"group"};
  const bool says_group = !is_usual || fields.has("group");
  return {.file = std::move(file), .fields = std::move(fields), .says_group = says_group};
}

void check_same_fields(std::span<const FileFields> files, std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    const auto has = [&](const FileFields& file) { return name == "group" ? file.says_group : file.fields.has(name); };
    const auto with = std::ranges::find_if(files, has), without = std::ranges::find_if_not(files, has);
    if (with == files.end() || without == files.end()) continue;
    throw std::invalid_argument(without->file + ": field \"" + std::string(name) + "\" is missing, but " + with->file +
                                " has it, expected all files to have it or none");
  }
}

}  // namespace equipoise
