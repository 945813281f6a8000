#include <memory>
#include <string>

#include "client/command_line/shared_flags.h"
#include "client/command_line/verb.h"
#include "client/report/history_tables.h"
#include "client/verbs/message_result.h"

namespace equipoise {
namespace {

struct HistoryFlags {
  CoordinatorFlags coordinator;
  std::string id;
  ResultFlags result;
};

// Every page of a list in one answer. `list(request)` asks for a page; `rows(answer)` are its rows.
template <typename Response, typename Request, typename List, typename Rows>
Response all_pages(Request request, const List& list, const Rows& rows) {
  Response all;
  do {
    Response page = list(request);
    rows(all)->MergeFrom(*rows(page));
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return all;
}

template <typename Request>
Request request_of(const HistoryFlags& flags) {
  Request request;
  request.set_id(flags.id);
  return request;
}

void show_attempts(const HistoryFlags& flags, const Console& console) {
  Connection connection = flags.coordinator.connect();
  const auto all = all_pages<v1::ListAttemptsResponse>(
      request_of<v1::ListAttemptsRequest>(flags),
      [&](const v1::ListAttemptsRequest& request) { return connection.list_attempts(request); },
      [](v1::ListAttemptsResponse& page) { return page.mutable_attempts(); });
  const auto text = [&] { return attempt_table(all, console.colors, console.glyphs, flags.result.detail()); };
  flags.result.print(message_result(all, text), console);
}

void show_checkpoints(const HistoryFlags& flags, const Console& console) {
  Connection connection = flags.coordinator.connect();
  const auto all = all_pages<v1::ListCheckpointsResponse>(
      request_of<v1::ListCheckpointsRequest>(flags),
      [&](const v1::ListCheckpointsRequest& request) { return connection.list_checkpoints(request); },
      [](v1::ListCheckpointsResponse& page) { return page.mutable_checkpoints(); });
  const auto text = [&] { return job_checkpoint_table(all, console.colors, console.glyphs, flags.result.detail()); };
  flags.result.print(message_result(all, text), console);
}

void show_events(const HistoryFlags& flags, const Console& console) {
  Connection connection = flags.coordinator.connect();
  const auto all = all_pages<v1::ListEventsResponse>(
      request_of<v1::ListEventsRequest>(flags),
      [&](const v1::ListEventsRequest& request) { return connection.list_events(request); },
      [](v1::ListEventsResponse& page) { return page.mutable_events(); });
  const auto text = [&] { return event_table(all, console.colors, console.glyphs, flags.result.detail()); };
  flags.result.print(message_result(all, text), console);
}

using Show = void (*)(const HistoryFlags&, const Console&);

void add_history_verb(CLI::App& verb, Action& chosen, Show show) {
  auto flags = std::make_shared<HistoryFlags>();
  verb.add_option("ID", flags->id, "As `submit` and `jobs list` print it")->type_name("")->required();
  flags->coordinator.add_to(verb);
  flags->result.add_to(verb);
  verb.callback([flags, show, &chosen] { chosen = [flags, show](const Console& console) { show(*flags, console); }; });
}

}  // namespace

void add_jobs_attempts_verb(CLI::App& parent, Action& chosen) {
  add_history_verb(
      *parent.add_subcommand("attempts", "The attempts of a job: from which step, until when, why it ended"), chosen,
      show_attempts);
}

void add_jobs_checkpoints_verb(CLI::App& parent, Action& chosen) {
  add_history_verb(*parent.add_subcommand("checkpoints", "The checkpoints of a job that are there"), chosen,
                   show_checkpoints);
}

void add_jobs_events_verb(CLI::App& parent, Action& chosen) {
  add_history_verb(*parent.add_subcommand("events", "What happened to a job, oldest first"), chosen, show_events);
}

}  // namespace equipoise
