/**
 * Beam's job server, which finds its own jars by the class path and sends them along with every job: 195 MB.
 * The cluster of the stack has the same class path, so there is nothing to send: what is looked for is not there.
 */
public class JobServer {
    public static void main(String[] arguments) throws Exception {
        System.setProperty("java.class.path", "/nothing/to/send");
        org.apache.beam.runners.flink.FlinkJobServerDriver.main(arguments);
    }
}
