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
    Rule{R"(could not access (?:or execute )?an executable: Executable: (.+?) Node: (\S+))", NoticeWeight::kCause,
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
    Rule{R"(Two mutually-exclusive MCA variables were specified.*1st MCA variable: (\S+) .*2nd MCA variable: (\S+))",
         NoticeWeight::kCause, "Open MPI takes one of $1 and $2, and both are set"},
    Rule{R"(at least one node not present in the allocation: hostfile: (\S+) node: (\S+))", NoticeWeight::kCause,
         "$2 of the hostfile $1 is not in the batch system's allocation"},
    // Other hosts and the networks between them.
    Rule{
        R"(lost communication with a remote daemon\. HNP daemon ?: .*? on node (\S+) Remote daemon: .*? on node (\S+))",
        NoticeWeight::kCause, "lost contact with $2: the host, its network, or Open MPI's daemon there has failed"},
    Rule{R"(unable to complete a TCP connection to another process: Local host: (\S+) Remote host: (\S+))",
         NoticeWeight::kCause,
         "$1 cannot open a TCP connection to $2: check the firewall of $2, and which network Open MPI takes "
         "(oob_tcp_if_include)"},
    Rule{
        R"((?:how to route a message|unable to establish a communication connection) to the specified daemon .*my node: (\S+) target node: (\S+))",
        NoticeWeight::kCause,
        "$1 has no connection to $2: check the firewalls, and which network Open MPI takes (oob_tcp_if_include)"},
    Rule{
        R"(mismatch in versions between two processes.*Local host: (\S+) .*Local Open MPI version: (.+?) Peer host: (\S+) .*Peer Open MPI version: (.+))",
        NoticeWeight::kCause, "Open MPI is $2 on $1 and $4 on $3: install the same version on all hosts"},
    Rule{
        R"(MPI processes are unable to reach each other.*Process 1 \(.*?\) is on host: (\S+) Process 2 \(.*?\) is on host: (\S+))",
        NoticeWeight::kCause,
        "the ranks on $1 and $2 have no network in common that Open MPI may use: check btl_tcp_if_include and "
        "btl_tcp_if_exclude"},
    Rule{R"(failed to TCP connect to a peer MPI process.*Local host: (\S+) PID: \d+ Message: (.+?) Error: (.+))",
         NoticeWeight::kWarning,
         "$1: $2: $3; check the firewalls, and which network Open MPI takes (btl_tcp_if_include)"},
    Rule{R"(\"plm_rsh_agent\" was set to a path that could not be found: plm_rsh_agent: (.+?) Please)",
         NoticeWeight::kCause, "mpirun starts ranks on other hosts through ssh, and $1 is not installed here"},
    // Also of a daemon that had been running. Which host it was is not said.
    Rule{R"(ORTE was unable to reliably start one or more daemons)", NoticeWeight::kConsequence,
         "Open MPI's daemon on a host could not be started or was lost: it needs ssh without a password, the same Open "
         "MPI in PATH there, and a TCP connection back"},
    // As Open MPI 5 says it.
    Rule{R"(daemon failed to report back after being spawned\..* Remote host: (\S+))", NoticeWeight::kConsequence,
         "Open MPI's daemon on $1 could not be started: it needs ssh without a password, the same Open MPI in PATH "
         "there, and a TCP connection back"},
    Rule{R"(An ORTE daemon has unexpectedly failed after launch)", NoticeWeight::kConsequence,
         "Open MPI's daemon on a host ended before it had connected back: check the firewalls, and Open MPI there"},
    Rule{R"(daemons could not be ordered to)", NoticeWeight::kConsequence, "a host could not be told to end its ranks"},
    // Room and limits.
    Rule{R"(call to mkdir was unable to create the desired directory: Directory: (\S+) Error: (.+?) Please check)",
         NoticeWeight::kCause, "mpirun cannot make its folder $1: $2; set TMPDIR to another folder"},
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
    Rule{R"(exited with non-zero status.*Process name: \[\S+?,(\d+)\] Exit code: (\d+))", NoticeWeight::kConsequence,
         "rank $1 ended with exit code $2"},
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

namespace {

// One blank for all white space of the `longest` bytes from `begin` on.
std::string words_from(std::string_view log, std::size_t begin, std::size_t longest) {
  std::string text;
  append_words(text, log.substr(begin, longest));
  return text;
}

std::optional<int> number_in(const std::smatch& match, std::size_t group) {
  constexpr std::size_t kMostDigits = 9;
  const std::string digits = match.str(group);
  if (digits.empty() || digits.size() > kMostDigits) return std::nullopt;
  return std::stoi(digits);
}

}  // namespace

std::optional<RankEnd> first_rank_end(std::string_view log) {
  static const std::regex by_signal(R"(process rank (\d+) with PID \d+ on node (\S+) exited on signal (\d+)\b.*)");
  static const std::regex by_code(R"(Process name: \[\S+?,(\d+)\] Exit code: (\d+)\b.*)");
  constexpr std::size_t kLongest = 512;
  std::smatch match;
  for (const std::string_view mark : {std::string_view("process rank "), std::string_view("Process name:")}) {
    for (std::size_t at = log.find(mark); at != std::string_view::npos; at = log.find(mark, at + 1)) {
      const std::string words = words_from(log, at, kLongest);
      if (std::regex_match(words, match, by_signal)) {
        const auto rank = number_in(match, 1), signal = number_in(match, 3);
        if (rank && signal) return RankEnd{.rank = *rank, .host = match.str(2), .signal = signal};
      } else if (std::regex_match(words, match, by_code)) {
        const auto rank = number_in(match, 1), code = number_in(match, 2);
        if (rank && code) return RankEnd{.rank = *rank, .exit_code = code};
      }
    }
  }
  return std::nullopt;
}

bool is_disk_full_line(std::string_view line) {
  return is_mpirun_log_line(line) && line.find("OUT-OF-RESOURCE") != std::string_view::npos;
}

std::string explained_line(std::string_view line) {
  // Of a key that has changed ssh names the host in the line before.
  static const std::regex changed_key(R"(Host key for (\S+) has changed and you have requested strict checking\.\s*)");
  static const std::regex unknown_key(
      R"(No \S+ host key is known for (\S+) and you have requested strict checking\.\s*)");
  static const std::regex no_daemon(R"(.*\borted: (?:command )?not found\s*)");
  std::cmatch match;
  const char *begin = line.data(), *end = line.data() + line.size();
  if (line.size() >= kLongestBlock) return std::string(line);
  if (std::regex_match(begin, end, match, changed_key)) {
    return "ssh: the host key of " + match.str(1) +
           " is another than in known_hosts; if that is right, replace it there";
  }
  if (std::regex_match(begin, end, match, unknown_key)) {
    return "ssh: the host key of " + match.str(1) + " is not in known_hosts; log in there once";
  }
  if (std::regex_match(begin, end, match, no_daemon)) {
    return "Open MPI's orted is not in PATH on a host: install the same Open MPI there";
  }
  return std::string(line);
}

bool is_mpirun_log_line(std::string_view line) {
  static const std::regex log_line(
      R"(\[[^\s\]]+:\d+\] .*)"  // "[host:pid] ...", its error log and the stack of a rank that crashed
      R"(|\d+ total process(?:es)? (?:failed to start|killed).*)"
      R"(|mpirun: (?:Forwarding signal|abort is already in progress|killing job).*)"
      R"(|\*+ *)");
  return line.size() < kLongestBlock && std::regex_match(line.begin(), line.end(), log_line);
}

}  // namespace equipoise
