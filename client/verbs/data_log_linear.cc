#include <memory>
#include <sstream>
#include <stdexcept>

#include "client/command_line/verb.h"
#include "client/data/log_linear_files.h"
#include "common/base/output_lock.h"

namespace equipoise {
namespace {

constexpr double kThetaBelow = 5.0;  // the paper's range

struct LogLinearFlags {
  std::string folder;
  std::string features = "swapped";
  std::string responses = "even";
  std::string preferring = "deterministic";
  std::uint32_t actions = 8;
  std::vector<std::string> rewards{"1,3,1,3", "3,1,3,1"};
  std::vector<std::uint64_t> sizes{60, 240};
  LogLinearFilesOptions files;
};

std::vector<double> numbers(const std::string& list) {
  std::vector<double> values;
  std::istringstream text(list);
  for (std::string one; std::getline(text, one, ',');) {
    double value = 0;
    if (!CLI::detail::lexical_cast(one, value)) {
      throw std::invalid_argument("--reward is " + list + ", expected numbers such as 1,3,1,3");
    }
    values.push_back(value);
  }
  return values;
}

void write_files(const LogLinearFlags& flags, const Console& console) {
  LogLinearFilesOptions options = flags.files;
  log_linear::Problem& problem = options.problem;
  problem.features = log_linear::parse_feature_map(flags.features);
  problem.actions = flags.actions;
  for (const std::string& reward : flags.rewards) problem.reward_KD.push_back(numbers(reward));
  log_linear::check_problem(problem);
  problem.initial_theta_D = log_linear::draw_theta(problem.features_dim(), kThetaBelow, options.train.seed);
  options.train.group_sizes_K = flags.sizes;
  if (flags.responses == "uneven") options.train.responses = log_linear::Responses::kUneven;
  if (flags.preferring == "bradley_terry") options.train.preferring = log_linear::Preferring::kBradleyTerry;
  const OutputLock lock =
      OutputLock::of_folder({.field = "DIR", .path = flags.folder}, {.program = "equipoise data log-linear"});
  const LogLinearFiles files = write_log_linear_files(options, flags.folder);
  console.out << "train:      " << files.train.string() << "\nvalidation: " << files.validation.string()
              << "\ntest:       " << files.test.string() << "\njob:        " << files.job.string() << "\n";
}

template <class List>
void add_list(CLI::App& verb, const std::string& name, List& values, const std::string& type, const std::string& what) {
  verb.add_option(name, values, what)
      ->type_name(type)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->capture_default_str();
}

void add_choice(CLI::App& verb, const std::string& name, std::string& value, const std::vector<std::string>& choices,
                const std::string& what) {
  verb.add_option(name, value, what)->check(CLI::IsMember(choices))->capture_default_str();
}

}  // namespace

void add_data_log_linear_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<LogLinearFlags>();
  CLI::App* verb =
      parent.add_subcommand("log-linear", "Draw the paper's synthetic preferences, with a job to train on");
  verb->add_option("DIR", flags->folder, "Folder for the four files")->type_name("")->required();
  add_choice(*verb, "--features", flags->features, {"same", "swapped", "flipped"}, "Feature map");
  verb->add_option("--actions", flags->actions, "How many")->type_name("N")->capture_default_str();
  add_list(*verb, "--reward", flags->rewards, "LIST", "Reward vector of a group; once for each group");
  add_list(*verb, "--size", flags->sizes, "N", "Training pairs of a group; once for each group");
  verb->add_option("--evaluation-size", flags->files.evaluation_size, "Validation and test pairs of each group")
      ->type_name("N")
      ->capture_default_str();
  add_choice(*verb, "--responses", flags->responses, {"even", "uneven"}, "Which two actions are compared");
  add_choice(*verb, "--preferring", flags->preferring, {"deterministic", "bradley_terry"}, "Which one is preferred");
  verb->add_option("--seed", flags->files.train.seed, "The same seed gives the same files")->capture_default_str();
  verb->footer("  equipoise data log-linear bandit && equipoise train bandit/job.yaml --np 2");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { write_files(*flags, console); }; });
}

}  // namespace equipoise
