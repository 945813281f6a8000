#include "coordinator/service/webhook_source.h"

#include <chrono>
#include <utility>

#include "coordinator/job/refusal.h"

namespace equipoise::coordinator {
namespace {

const char* outcome_name(WebhookOutcome outcome) {
  switch (outcome) {
    case WebhookOutcome::kDelivered:
      return "delivered";
    case WebhookOutcome::kRefused:
      return "refused";
    case WebhookOutcome::kFailed:
      return "failed";
  }
  return "failed";
}

EventRevisions newest_events(JobController& core) {
  EventRevisions newest = core.table().store().newest_events();
  std::erase_if(newest, [&](const auto& entry) { return !core.table().contains(entry.first); });
  return newest;
}

WebhookSource::Events events_of(JobController& core, const std::string& job_id, std::int64_t after,
                                std::int64_t limit) {
  WebhookSource::Events events;
  if (!core.table().contains(job_id)) return events;  // it is deleted, and its events with it
  const std::string name = core.table().find(job_id).job.spec().name();
  for (v1::JobEvent& event : core.history().events_after(job_id, after, limit)) {
    events.push_back({.job_id = job_id, .job_name = name, .event = std::move(event)});
  }
  return events;
}

WebhookSource::Events readable_events(JobController& core, const std::string& job_id, std::int64_t after,
                                      std::int64_t limit) {
  try {
    return events_of(core, job_id, after, limit);
  } catch (const StoreError& failure) {
    if (failure.cause() != StoreError::Cause::kDamaged) throw;
    throw UnreadableEvents(failure.what());
  } catch (const Refusal& failure) {  // the job is set aside
    throw UnreadableEvents(failure.what());
  }
}

}  // namespace

WebhookSource webhook_source(SharedController& shared, JobMetrics& metrics, const Clock& clock) {
  shared.read([](JobController& core) { core.table().store().watch_events(); });
  return {
      .newest = [&shared] { return shared.read(newest_events); },
      .take_changed =
          [&shared] {
            return shared.read([](JobController& core) { return core.table().store().take_jobs_with_events(); });
          },
      .events =
          [&shared](const std::string& job_id, std::int64_t after, std::int64_t limit) {
            return shared.read([&](JobController& core) { return readable_events(core, job_id, after, limit); });
          },
      .count = [&metrics](WebhookOutcome outcome) { metrics.count_webhook(outcome_name(outcome)); },
      .show_age = [&metrics](std::chrono::seconds age) { metrics.show_webhook_age(age); },
      .unix_time = [&clock] { return static_cast<std::int64_t>(std::chrono::system_clock::to_time_t(clock.wall())); }};
}

}  // namespace equipoise::coordinator
