package org.apache.beam.runners.fnexecution.control;

import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.beam.model.fnexecution.v1.BeamFnApi.BundleApplication;
import org.apache.beam.model.fnexecution.v1.BeamFnApi.DelayedBundleApplication;
import org.apache.beam.model.fnexecution.v1.BeamFnApi.ProcessBundleResponse;
import org.apache.beam.runners.core.StateInternalsFactory;
import org.apache.beam.runners.core.StateNamespace;
import org.apache.beam.runners.core.StateNamespaces;
import org.apache.beam.runners.core.StateTags;
import org.apache.beam.runners.core.TimerInternalsFactory;
import org.apache.beam.sdk.coders.Coder;
import org.apache.beam.sdk.coders.CoderException;
import org.apache.beam.sdk.state.TimeDomain;
import org.apache.beam.sdk.transforms.windowing.BoundedWindow;
import org.apache.beam.sdk.util.CoderUtils;
import org.apache.beam.sdk.util.WindowedValue;
import org.apache.beam.vendor.grpc.v1p60p1.com.google.protobuf.Timestamp;
import org.joda.time.Instant;

/**
 * Keeps what a reader has left to do at the end of a bundle, in the place of Beam's class of this name.
 *
 * <p>Beam before 2.76 keeps it each time under a new name, in a state and a timer. Flink never forgets the name of
 * a state, and takes 32,767 of them: a reader whose bundles last a second ends its job after nine hours
 * (github.com/apache/beam/issues/27648). Here a name is used again once its timer has fired, so there are as many as
 * are waited for at the same time, and two. A name begins with its handler's own: after a restart, what the handler
 * before left waiting is not overwritten.
 */
@SuppressWarnings({"rawtypes", "unchecked"})
public class BundleCheckpointHandlers {
    public static class StateAndTimerBundleCheckpointHandler<T> implements BundleCheckpointHandler {
        public static final String SDF_PREFIX = "sdf_checkpoint";
        /** A name rests for a turn: its timer's own books may be closed a moment after it has fired. */
        private static final int RESTING = 2;
        /** Names whose timers have fired, by handler. */
        private static final Map<String, Queue<String>> FIRED = new ConcurrentHashMap<>();

        private final TimerInternalsFactory<T> timers;
        private final StateInternalsFactory<T> states;
        private final Coder<WindowedValue<T>> coder;
        private final Coder windowCoder;
        private final String handler = SDF_PREFIX + ":" + UUID.randomUUID();
        private final Queue<String> free = new ConcurrentLinkedQueue<>();
        private int names = 0;

        public StateAndTimerBundleCheckpointHandler(
                TimerInternalsFactory<T> timers,
                StateInternalsFactory<T> states,
                Coder<WindowedValue<T>> coder,
                Coder windowCoder) {
            this.timers = timers;
            this.states = states;
            this.coder = coder;
            this.windowCoder = windowCoder;
            FIRED.put(handler, free);
        }

        /** Asked by the operator of each timer as it fires, just before it reads the state of that name. */
        public static boolean isSdfTimer(String name) {
            Queue<String> free = FIRED.get(name.substring(0, Math.max(0, name.lastIndexOf(':'))));
            if (free != null) {
                free.add(name);
            }
            return name.startsWith(SDF_PREFIX);
        }

        @Override
        public void onCheckpoint(ProcessBundleResponse response) {
            for (DelayedBundleApplication left : response.getResidualRootsList()) {
                if (left.hasApplication()) {
                    keep(left);
                }
            }
        }

        private void keep(DelayedBundleApplication left) {
            WindowedValue<T> value = decoded(left.getApplication());
            T key = value.getValue();
            Instant again = Instant.now().plus(1000 * left.getRequestedTimeDelay().getSeconds());
            Instant held = heldAt(left.getApplication());
            for (BoundedWindow window : (Collection<BoundedWindow>) value.getWindows()) {
                StateNamespace space = StateNamespaces.window(windowCoder, window);
                String name = free.size() < RESTING ? handler + ":" + names++ : free.remove();
                timers.timerInternalsForKey(key).setTimer(space, name, "", again, held, TimeDomain.PROCESSING_TIME);
                states.stateInternalsForKey(key)
                        .state(space, StateTags.value(name, coder))
                        .write(WindowedValue.of(key, value.getTimestamp(), List.of(window), value.getPane()));
            }
        }

        private WindowedValue<T> decoded(BundleApplication left) {
            try {
                return CoderUtils.decodeFromByteArray(coder, left.getElement().toByteArray());
            } catch (CoderException unreadable) {
                throw new IllegalStateException("what a reader left to do cannot be decoded", unreadable);
            }
        }

        /** The time that the watermark may not pass before the reader goes on. */
        private static Instant heldAt(BundleApplication left) {
            return Instant.ofEpochMilli(
                    left.getOutputWatermarksMap().values().stream()
                            .mapToLong(Timestamp::getSeconds)
                            .map(seconds -> 1000 * seconds)
                            .min()
                            .orElse(BoundedWindow.TIMESTAMP_MIN_VALUE.getMillis()));
        }
    }
}
