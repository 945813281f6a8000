#include "common/process/mpirun_notice.h"

#include <array>
#include <cctype>
#include <regex>
#include <vector>

namespace equipoise {
namespace {

// Blocks of a page and more have their cause at the top. It also bounds what a regular expression works on.
constexpr std::size_t kLongestBlock = 2000;

// A block whose text, all white space one blank, holds `pattern` stands for `text`, where $1 is the first group.
struct Rule {
  const char* pattern;
  NoticeWeight weight;
  const char* text;
};

// The first that fits counts, so what is special stands before what is general.
constexpr std::array kRules{
    // A program, a folder or a file that is not there.
    Rule{R"(could not access or execute an executable: Executable: (.+?) Node: (\S+))", NoticeWeight::kCause,
         "$1 is not on $2, or may not be executed there"},
    Rule{R"(unable to find the specified executable file.* Node: (\S+) Executable: (\S+))", NoticeWeight::kCause,
         "$2 is not on $1"},
    Rule{R"(\"execve\" system call but failed.* Local host: (\S+) .*Application name: (.+?) Error: (.+))",
         NoticeWeight::kCause, "$2 cannot be executed on $1: $3"},
    Rule{R"(could not change to the specified working directory: Working directory: (.+?) Node: (\S+))",
         NoticeWeight::kCause, "the working folder $1 cannot be entered on $2"},
    Rule{R"(unable to open the hostfile: (\S+))", NoticeWeight::kCause, "the hostfile $1 cannot be opened"},
    Rule{R"((?:parse error|bad parameter) in the hostfile: (\S+) (.*))", NoticeWeight::kCause,
         "the hostfile $1 is wrong: $2"},
    // Settings that mpirun refuses.
    Rule{R"(not enough slots available in the system to satisfy the (\d+) slots)", NoticeWeight::kCause,
         "mpirun has fewer than $1 slots: start fewer workers, or give the hosts more slots in the hostfile"},
    Rule{R"(attempt to run as root)", NoticeWeight::kCause,
         "mpirun refuses to run as root: set OMPI_ALLOW_RUN_AS_ROOT=1 and OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"},
    Rule{R"(both the \"-x\" method and by setting the MCA parameter)", NoticeWeight::kCause,
         "OMPI_MCA_mca_base_env_list is set, which Open MPI does not take beside -x: unset it"},
    Rule{R"(unable to locate a usable \"srun\" command)", NoticeWeight::kCause,
         "mpirun is to use a Slurm allocation and finds no srun in PATH"},
    // Room and limits.
    Rule{
        R"(not enough space for (\S+) \(the shared-memory backing file\).*Local [Hh]ost: (\S+) .*Space Available: (\S+))",
        NoticeWeight::kCause,
        "no space left for $1 on $2 ($3 bytes are free): free some, or set TMPDIR to another folder"},
    Rule{R"(system limit exceeded on number of (.+?) that can be (?:open|started)(?: Node: (\S+))?)",
         NoticeWeight::kCause, "the system's limit on the number of $1 is reached on $2"},
    Rule{R"(due to your system's restriction for Unix's socket's path-length\. orte_proc_session_dir: (\S+))",
         NoticeWeight::kCause, "the name of the folder $1 is too long for sockets: set TMPDIR to a short one, as /tmp"},
    // A rank that ended.
    Rule{R"(process rank (\d+) with PID \d+ on node (\S+) exited on signal 9\b)", NoticeWeight::kCause,
         "rank $1 on $2 was killed (signal 9): by the system if memory ran out, or by somebody"},
    Rule{R"(process rank (\d+) with PID \d+ on node (\S+) exited on signal (\d+ \([^)]*\)))", NoticeWeight::kCause,
         "rank $1 on $2 ended by signal $3"},
    Rule{R"(exited with non-zero status.*Process name: \[\[\d+,\d+\],(\d+)\] Exit code: (\d+))",
         NoticeWeight::kConsequence, "rank $1 ended with exit code $2"},
    Rule{R"(Primary job terminated normally, but (?:1 process|\d+ processes) returned a non-zero exit code)",
         NoticeWeight::kConsequence, "a rank ended with a non-zero exit code"},
    Rule{R"(process rank (\d+) with PID \d+ on node (\S+) (?:calling \"abort\"|exiting improperly))",
         NoticeWeight::kConsequence, "rank $1 on $2 ended before its time"},
    // Open MPI's own insides.
    Rule{R"(additional information \(which may only be relevant to an Open MPI developer\): (.+?) --> Returned (.+))",
         NoticeWeight::kConsequence, "Open MPI could not start: $1, $2"},
    Rule{R"(An internal error has occurred in ORTE: \[.*?\] (.*?) This is something)", NoticeWeight::kConsequence,
         "Open MPI failed inside: $1"},
};

void append_words(std::string& text, std::string_view line) {
  for (const char c : line) {
    const bool is_space = std::isspace(static_cast<unsigned char>(c)) != 0;
    if (!is_space) text += c;
    if (is_space && !text.empty() && text.back() != ' ') text += ' ';
    if (text.size() >= kLongestBlock) return;
  }
  if (!text.empty() && text.back() != ' ') text += ' ';
}

std::string trimmed(std::string text) {
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

std::string words_of(std::span<const std::string_view> lines) {
  std::string text;
  for (const std::string_view line : lines) append_words(text, line);
  return trimmed(std::move(text));
}

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

// "  Local host:   node02"
bool is_labelled(std::string_view line) {
  static const std::regex label(R"(\s*[A-Z][A-Za-z -]{0,30}:\s+\S.*)");
  return line.size() < kLongestBlock && std::regex_match(line.begin(), line.end(), label);
}

// Up to the end of its first sentence, or all of the first paragraph.
std::string first_sentence(std::span<const std::string_view> lines) {
  std::size_t begin = 0;
  while (begin < lines.size() && is_blank(lines[begin])) ++begin;
  std::size_t end = begin;
  while (end < lines.size() && !is_blank(lines[end]) && !is_labelled(lines[end])) ++end;
  const std::string paragraph = words_of(lines.subspan(begin, end - begin));
  const std::size_t stop = paragraph.find(". ");
  return paragraph.substr(0, stop);
}

std::string general_text(std::span<const std::string_view> lines) {
  std::string text = first_sentence(lines), labels;
  for (const std::string_view line : lines) {
    if (is_labelled(line)) labels += (labels.empty() ? "" : ", ") + words_of({&line, 1});
  }
  while (!text.empty() && (text.back() == '.' || text.back() == ':')) text.pop_back();
  if (labels.empty()) return text;
  return text.empty() ? labels : text + " (" + labels + ")";
}

}  // namespace

MpirunNotice read_notice(std::span<const std::string_view> lines) {
  const std::string block = words_of(lines);
  for (const Rule& rule : kRules) {
    std::smatch match;
    if (std::regex_search(block, match, std::regex(rule.pattern))) return {rule.weight, match.format(rule.text)};
  }
  const bool is_warning = block.starts_with("WARN") || block.find("job will continue") != std::string::npos;
  return {is_warning ? NoticeWeight::kWarning : NoticeWeight::kCause, general_text(lines)};
}

bool is_mpirun_chatter(std::string_view line) {
  static const std::regex chatter(
      R"(\[[^\s\]]+:\d+\] .*)"  // "[host:pid] ...", its error log and the stack of a rank that crashed
      R"(|\d+ total process(?:es)? (?:failed to start|killed).*)"
      R"(|mpirun: (?:Forwarding signal|abort is already in progress|killing job).*)"
      R"(|\*+ *)");
  return line.size() < kLongestBlock && std::regex_match(line.begin(), line.end(), chatter);
}

}  // namespace equipoise
