"""N4: a few enormous prompts, and one tenant's batch job."""

from pipelines.simulate.scenario import Scenario, Surge, put

SCENARIO = Scenario(
    id="N4",
    title="Single huge prompts and a batch job",
    truth=None,
    at="tenant",
    duration_s=2 * 3600,
    surge=Surge((1.5, 2.0, 3.0), hump=True),
    effects=(put("requests", "input_tokens", 100_000.0, share=0.0003),),
)
