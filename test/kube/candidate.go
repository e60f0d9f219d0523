package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// candidate contends for a Lease with client-go's leader election, as Kubernetes' own
// components do, and prints a line per event: "leading MS", "stopped MS" (MS: Unix time in
// milliseconds) and "leader IDENTITY". It ends after "stopped", by SIGTERM or because the
// Lease was lost: client-go's candidates are not to go on after that.
func candidate() int {
	flags := flag.NewFlagSet(os.Args[0], flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "how to reach the API")
	namespace := flags.String("namespace", "default", "the Lease's namespace")
	name := flags.String("lease", "", "the Lease's name")
	identity := flags.String("identity", "", "holderIdentity of this candidate")
	duration := flags.Duration("lease-duration", 15*time.Second, "LeaseDuration of client-go")
	deadline := flags.Duration("renew-deadline", 10*time.Second, "RenewDeadline of client-go")
	retry := flags.Duration("retry-period", 2*time.Second, "RetryPeriod of client-go")
	release := flags.Bool("release", false, "give the Lease up when ending, instead of letting it lapse")
	_ = flags.Parse(os.Args[1:]) // ExitOnError
	if *name == "" || *identity == "" || flags.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "candidate: --lease and --identity are needed, and nothing besides the flags")
		flags.Usage()
		return 2
	}

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		fmt.Fprintln(os.Stderr, "candidate:", err)
		return 1
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		fmt.Fprintln(os.Stderr, "candidate:", err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	var printing sync.Mutex // client-go calls back from several goroutines
	say := func(format string, values ...any) {
		printing.Lock()
		defer printing.Unlock()
		fmt.Printf(format+"\n", values...)
	}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: *namespace, Name: *name},
			Client:     client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: *identity},
		},
		LeaseDuration:   *duration,
		RenewDeadline:   *deadline,
		RetryPeriod:     *retry,
		ReleaseOnCancel: *release,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { say("leading %d", time.Now().UnixMilli()) },
			OnStoppedLeading: func() { say("stopped %d", time.Now().UnixMilli()) },
			OnNewLeader:      func(leader string) { say("leader %s", leader) },
		},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "candidate:", err)
		return 2
	}
	elector.Run(ctx)
	return 0
}
