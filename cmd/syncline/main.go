// Command syncline is the one binary of Syncline. Each verb has a file of its own.
//
// Every flag can be given in the environment: --data as SYNCLINE_DATA, --log-level
// as SYNCLINE_LOG_LEVEL. A flag on the command line wins. An error is one line on
// standard error that says what to do; the exit code is 1 when the work failed and
// 2 when the command was not understood.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	// The first signal ends gracefully; a second one, as signals do.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	root := rootCommand()
	root.SetArgs(operandsApart(args))
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "syncline:", oneLine(err))
	if _, failed := errors.AsType[*failure](err); failed {
		return 1
	}
	return 2
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:               "syncline",
		Short:             "Sync Automerge documents between peers, offline first",
		Args:              cobra.NoArgs,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return setFromEnvironment(cmd, os.LookupEnv) },
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().String("log-level", "info", "what to log: debug, info, warn or error (SYNCLINE_LOG_LEVEL)")
	// Help fits a terminal of 80 columns.
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages ", ".FlagUsagesWrapped 80 "))
	root.AddCommand(
		backupCommand(),
		conflictsCommand(),
		demoCommand(),
		docCommand(),
		doctorCommand(),
		loadCommand(),
		opCommand(),
		outboxCommand(),
		peerCommand(),
		relayCommand(),
		sqlCommand(),
		statusCommand(),
		syncCommand(),
		tokenCommand(),
		versionCommand(),
	)
	return root
}

// oneLine is an error in one line: those of several causes have one for each.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// failure is an error of the work, as against one of the command line.
type failure struct{ err error }

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// failed marks an error as one of the work.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return &failure{err}
}
