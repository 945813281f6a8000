#include "client/verbs/job_wishes.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "client/command_line/shared_flags.h"
#include "client/command_line/verb.h"
#include "client/connection/follow_job.h"
#include "client/connection/interrupts.h"
#include "client/report/job_summary.h"
#include "client/table/display_width.h"
#include "client/verbs/message_result.h"
#include "common/base/message_text.h"
#include "common/protocol/job_state.h"

namespace equipoise {
namespace {

struct PauseFlags {
  CoordinatorFlags coordinator;
  std::string id;
  std::string etag = {};
  bool waits = false;
  ResultFlags result = {};
};

void say_state(const v1::TrainingJob& job, const PauseFlags& flags, const Console& console) {
  const auto text = [&job] {
    return job.id() + " is " + state_name(job.state()) + ": " + printable(job.state_reason()) + "\n";
  };
  flags.result.print(job_result(job, text), console);
}

// `what`: "make a checkpoint".
void say_asked(const v1::TrainingJob& job, const std::string& what, const PauseFlags& flags, const Console& console) {
  const auto text = [&] {
    return job.id() + " will " + what + " at the end of a step; it has done " + counted(job.step(), "step") + "\n";
  };
  flags.result.print(job_result(job, text), console);
}

// Asks for something, and with --wait follows the job until that is there.
using Request = std::function<v1::TrainingJob(Connection&)>;
using Reached = std::function<bool(const v1::TrainingJob& asked, const v1::TrainingJob& now)>;

v1::TrainingJob ask_and_wait(const PauseFlags& flags, const Console& console, const Request& ask,
                             const Reached& is_reached) {
  JobInbox inbox;
  const Interrupts interrupts([&inbox](int signal) { inbox.interrupt(signal); });
  Connection connection = flags.coordinator.connect([&inbox] { return inbox.interrupted(); });
  v1::TrainingJob job = ask(connection);
  if (flags.waits) {
    follow_until(connection, job.id(), inbox, flags.result.progress_console(console, TextFor::kScripts),
                 [&](const v1::TrainingJob& now) { return now.revision() >= job.revision() && is_reached(job, now); });
    job = connection.get_job(job.id());
  }
  return job;
}

// That tells why `asked` cannot be reached any more; empty: none.
std::string new_condition(const v1::TrainingJob& asked, const v1::TrainingJob& now, std::string_view beginning) {
  for (const std::string& condition : now.conditions()) {
    const bool is_known = std::ranges::find(asked.conditions(), condition) != asked.conditions().end();
    if (!is_known && condition.starts_with(beginning)) return condition;
  }
  return "";
}

void pause_job(const PauseFlags& flags, const Console& console) {
  const v1::TrainingJob job = ask_and_wait(
      flags, console,
      [&](Connection& connection) {
        return connection.pause_job({flags.id, flags.etag});
      },
      [](const v1::TrainingJob& asked, const v1::TrainingJob& now) {
        const bool goes_on = asked.state() == v1::JOB_STATE_PAUSING && now.state() == v1::JOB_STATE_RUNNING;
        if (goes_on) throw CommandError(ExitCode::kFailure, printable(now.state_reason()));
        return now.state() == v1::JOB_STATE_PAUSED;
      });
  say_state(job, flags, console);
}

v1::TrainingJob ask_for_checkpoint(const PauseFlags& flags, const Console& console) {
  return ask_and_wait(
      flags, console,
      [&](Connection& connection) {
        return connection.checkpoint_job({flags.id, flags.etag});
      },
      [](const v1::TrainingJob& asked, const v1::TrainingJob& now) {
        const bool has_moved = now.has_checkpoint_step() &&
                               (!asked.has_checkpoint_step() || now.checkpoint_step() > asked.checkpoint_step());
        const bool has_ended = is_final(now.state());
        if (has_moved || (!has_ended && !now.open_requests().has_checkpoint_step())) return true;
        const std::string failure = new_condition(asked, now, "the checkpoint of step ");
        if (!failure.empty()) throw CommandError(ExitCode::kFailure, printable(failure));
        if (!has_ended) return false;  // it is made by the next attempt where this one does not
        throw CommandError(ExitCode::kFailure, "no checkpoint was made: the job is " + state_name(now.state()) + ", " +
                                                   printable(now.state_reason()));
      });
}

void checkpoint_job(const PauseFlags& flags, const Console& console) {
  const v1::TrainingJob job = ask_for_checkpoint(flags, console);
  if (!flags.waits) return say_asked(job, "make a checkpoint", flags, console);
  const auto text = [&job] {
    return job.id() + " has a checkpoint of step " + std::to_string(job.checkpoint_step()) + "\n";
  };
  flags.result.print(job_result(job, text), console);
}

void evaluate_job(const PauseFlags& flags, const Console& console) {
  const v1::TrainingJob job = ask_and_wait(
      flags, console,
      [&](Connection& connection) {
        return connection.evaluate_job({flags.id, flags.etag});
      },
      [](const v1::TrainingJob& asked, const v1::TrainingJob& now) {
        const bool has_moved = now.has_validation_step() &&
                               (!asked.has_validation_step() || now.validation_step() > asked.validation_step());
        const bool has_ended = is_final(now.state());
        if (has_moved || (!has_ended && !now.open_requests().has_evaluation_step())) return true;
        if (!has_ended) return false;
        throw CommandError(ExitCode::kFailure, "nothing was evaluated: the job is " + state_name(now.state()) + ", " +
                                                   printable(now.state_reason()));
      });
  if (!flags.waits) return say_asked(job, "evaluate", flags, console);
  flags.result.print(job_result(job, [&] { return job_description(job, console.colors, console.glyphs); }), console);
}

void resume_job(const PauseFlags& flags, const Console& console) {
  Connection connection = flags.coordinator.connect();
  say_state(connection.resume_job({flags.id, flags.etag}), flags, console);
}

std::shared_ptr<PauseFlags> add_flags(CLI::App& verb) {
  auto flags = std::make_shared<PauseFlags>();
  verb.add_option("ID", flags->id, "As `submit` and `jobs list` print it")->type_name("")->required();
  flags->coordinator.add_to(verb);
  add_etag_flag(verb, flags->etag);
  flags->result.add_to(verb, {ResultFormat::kName});
  return flags;
}

}  // namespace

v1::TrainingJob checkpoint_now(const CoordinatorFlags& coordinator, const std::string& id, const Console& console) {
  return ask_for_checkpoint({.coordinator = coordinator, .id = id, .waits = true}, console);
}

void add_jobs_pause_verb(CLI::App& parent, Action& chosen) {
  CLI::App* verb =
      parent.add_subcommand("pause", "Let a job make a checkpoint and free its slots; `jobs resume` goes on");
  const auto flags = add_flags(*verb);
  verb->add_flag("--wait", flags->waits, "Show progress until it is PAUSED");
  verb->footer(
      "A job that has not begun to train is paused without a checkpoint. Where the checkpoint cannot be written, the\n"
      "job goes on. Exit code with --wait: 0 paused, 1 not paused, 130 left by Ctrl-C, and the pause goes on.");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { pause_job(*flags, console); }; });
}

void add_jobs_resume_verb(CLI::App& parent, Action& chosen) {
  CLI::App* verb = parent.add_subcommand("resume", "Put a paused job back into the queue");
  const auto flags = add_flags(*verb);
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { resume_job(*flags, console); }; });
}

void add_jobs_checkpoint_verb(CLI::App& parent, Action& chosen) {
  CLI::App* verb = parent.add_subcommand("checkpoint", "Let a running job make a checkpoint, and go on");
  const auto flags = add_flags(*verb);
  verb->add_flag("--wait", flags->waits, "Show progress until the checkpoint is whole");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { checkpoint_job(*flags, console); }; });
}

void add_jobs_evaluate_verb(CLI::App& parent, Action& chosen) {
  CLI::App* verb = parent.add_subcommand("evaluate", "Let a running job evaluate its validation pairs, and go on");
  const auto flags = add_flags(*verb);
  verb->add_flag("--wait", flags->waits, "Show progress until it has, then the job with every group");
  verb->footer(
      "metrics.jsonl gets a line of it. Neither early stopping nor the learning rate's schedule hears of it: what is\n"
      "trained does not depend on who looks at it.");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { evaluate_job(*flags, console); }; });
}

}  // namespace equipoise
