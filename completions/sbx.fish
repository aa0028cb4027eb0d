# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_sbx_global_optspecs
    string join \n h/help V/version
end

function __fish_sbx_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_sbx_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_sbx_using_subcommand
    set -l cmd (__fish_sbx_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c sbx -n "__fish_sbx_needs_command" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_needs_command" -s V -l version -d 'Print version'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "commit" -d 'Make an image of a container\'s image and of what was changed in the container'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "diff" -d 'List what a container changed, or what an image\'s last layer did'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "doctor" -d 'Try what a sandbox needs on this host, and say how to get what is missing'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "history" -d 'Show the steps that an image was built in, newest first'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "image" -d 'Work with images'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "images" -d 'List images'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "export" -d 'Write a container\'s whole file system as a tar archive'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "import" -d 'Make an image from the tar of a root file system'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "inspect" -d 'Show all that is known of containers and images, as JSON'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "load" -d 'Load images from an archive, an OCI layout or a directory of skopeo\'s'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "login" -d 'Write a login for a registry down, for sbx, podman and docker'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "logout" -d 'Take a login away'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "profile" -d 'Look at profiles: what a sandbox may do'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "ps" -d 'List containers that were kept: those run without --rm'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "pull" -d 'Take images in from a registry, or from files'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "push" -d 'Hand an image out to a registry, or to files'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "rm" -d 'Remove containers, with everything that was changed in them'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "rmi" -d 'Remove images, or names of images that have several'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "run" -d 'Run a command in a new sandbox'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "system" -d 'Look after the store'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "tag" -d 'Give an image more names'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "untag" -d 'Take names from an image, which stays'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "volume" -d 'Manage volumes: directories that outlive the containers they are mounted in'
complete -c sbx -n "__fish_sbx_needs_command" -f -a "save" -d 'Save images to an archive or a directory, for sbx load, podman, docker or skopeo'
complete -c sbx -n "__fish_sbx_using_subcommand commit" -s a -l author -d 'Who made the image' -r
complete -c sbx -n "__fish_sbx_using_subcommand commit" -s m -l message -d 'A comment for the image\'s history' -r
complete -c sbx -n "__fish_sbx_using_subcommand commit" -s c -l change -d 'Set something in the image\'s configuration, as in a Dockerfile: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME or WORKDIR' -r
complete -c sbx -n "__fish_sbx_using_subcommand commit" -s f -l format -d 'Which media types the image has' -r -f -a "oci\t''
docker\t''"
complete -c sbx -n "__fish_sbx_using_subcommand commit" -s q -l quiet -d 'Show no progress'
complete -c sbx -n "__fish_sbx_using_subcommand commit" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sbx -n "__fish_sbx_using_subcommand diff" -l json -d 'As JSON: {"added": [...], "changed": [...], "deleted": [...]}'
complete -c sbx -n "__fish_sbx_using_subcommand diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sbx -n "__fish_sbx_using_subcommand doctor" -l json -d 'As JSON'
complete -c sbx -n "__fish_sbx_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand history" -l format -d 'json, or a template such as \'{{.ID}} {{.Size}}\' or \'table {{.ID}}\\t{{.Size}}\'' -r
complete -c sbx -n "__fish_sbx_using_subcommand history" -l no-trunc -d 'Whole ids and commands'
complete -c sbx -n "__fish_sbx_using_subcommand history" -s q -l quiet -d 'Ids only'
complete -c sbx -n "__fish_sbx_using_subcommand history" -l json -d 'As JSON'
complete -c sbx -n "__fish_sbx_using_subcommand history" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand image; and not __fish_seen_subcommand_from history import inspect load ls list prune rm remove tag untag" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand image; and not __fish_seen_subcommand_from history import inspect load ls list prune rm remove tag untag" -f -a "history" -d 'Show the steps that an image was built in, newest first'
complete -c sbx -n "__fish_sbx_using_subcommand image; and not __fish_seen_subcommand_from history import inspect load ls list prune rm remove tag untag" -f -a "import" -d 'Make an image from the tar of a root file system'
complete -c sbx -n "__fish_sbx_using_subcommand image; and not __fish_seen_subcommand_from history import inspect load ls list prune rm remove tag untag" -f -a "inspect" -d 'Show all that is known of images, as JSON'
complete -c sbx -n "__fish_sbx_using_subcommand image; and not __fish_seen_subcommand_from history import inspect load ls list prune rm remove tag untag" -f -a "load" -d 'Load images from an archive, an OCI layout or a directory of skopeo\'s'
complete -c sbx -n "__fish_sbx_using_subcommand image; and not __fish_seen_subcommand_from history import inspect load ls list prune rm remove tag untag" -f -a "ls" -d 'List images'
complete -c sbx -n "__fish_sbx_using_subcommand image; and not __fish_seen_subcommand_from history import inspect load ls list prune rm remove tag untag" -f -a "list" -d 'List images'
complete -c sbx -n "__fish_sbx_using_subcommand image; and not __fish_seen_subcommand_from history import inspect load ls list prune rm remove tag untag" -f -a "prune" -d 'Remove images that have no name, and what interrupted runs left'
complete -c sbx -n "__fish_sbx_using_subcommand image; and not __fish_seen_subcommand_from history import inspect load ls list prune rm remove tag untag" -f -a "rm" -d 'Remove images, or names of images that have several'
complete -c sbx -n "__fish_sbx_using_subcommand image; and not __fish_seen_subcommand_from history import inspect load ls list prune rm remove tag untag" -f -a "remove" -d 'Remove images, or names of images that have several'
complete -c sbx -n "__fish_sbx_using_subcommand image; and not __fish_seen_subcommand_from history import inspect load ls list prune rm remove tag untag" -f -a "tag" -d 'Give an image more names'
complete -c sbx -n "__fish_sbx_using_subcommand image; and not __fish_seen_subcommand_from history import inspect load ls list prune rm remove tag untag" -f -a "untag" -d 'Take names from an image, which stays'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from history" -l format -d 'json, or a template such as \'{{.ID}} {{.Size}}\' or \'table {{.ID}}\\t{{.Size}}\'' -r
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from history" -l no-trunc -d 'Whole ids and commands'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from history" -s q -l quiet -d 'Ids only'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from history" -l json -d 'As JSON'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from history" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from import" -s c -l change -d 'Set something in the image\'s configuration, as in a Dockerfile: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME or WORKDIR' -r
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from import" -s m -l message -d 'A comment for the image\'s history' -r
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from import" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t'A bar on a terminal, after a second'
json\t'Lines of JSON'
none\t'Not at all'"
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from inspect" -s f -l format -d 'A template such as \'{{.Id}}\' or \'{{json .Config}}\'' -r
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from load" -s i -l input -d 'An OCI archive, a docker archive, the directory of an OCI layout, with :NAME for one image of several, or what skopeo writes to dir:; standard input without it' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from load" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t'A bar on a terminal, after a second'
json\t'Lines of JSON'
none\t'Not at all'"
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from load" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from ls" -s f -l filter -d 'reference=GLOB, dangling=BOOL, label=KEY[=VALUE], before=IMAGE, since=IMAGE or until=TIME, which is a date or an age such as 24h' -r
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from ls" -l sort -d 'What comes first: the newest, or the least of another field' -r -f -a "created\t''
id\t''
repository\t''
size\t''
tag\t''"
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from ls" -l format -d 'json, or a template such as \'{{.ID}} {{.Size}}\' or \'table {{.ID}}\\t{{.Size}}\'' -r
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from ls" -s a -l all -d 'Those that have no name and that another image is built on, too'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Ids only'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from ls" -l digests -d 'The digests of manifests, too'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from ls" -l no-trunc -d 'Whole ids'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from ls" -l json -d 'As JSON'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from list" -s f -l filter -d 'reference=GLOB, dangling=BOOL, label=KEY[=VALUE], before=IMAGE, since=IMAGE or until=TIME, which is a date or an age such as 24h' -r
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from list" -l sort -d 'What comes first: the newest, or the least of another field' -r -f -a "created\t''
id\t''
repository\t''
size\t''
tag\t''"
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from list" -l format -d 'json, or a template such as \'{{.ID}} {{.Size}}\' or \'table {{.ID}}\\t{{.Size}}\'' -r
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from list" -s a -l all -d 'Those that have no name and that another image is built on, too'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Ids only'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from list" -l digests -d 'The digests of manifests, too'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from list" -l no-trunc -d 'Whole ids'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from list" -l json -d 'As JSON'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from prune" -s a -l all -d 'All images that no container uses'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from prune" -s f -l force -d 'Do not ask'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from rm" -s a -l all -d 'All images'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from rm" -s f -l force -d 'Also an image that is in use, whose files then stay, and by its id one of several names'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from remove" -s a -l all -d 'All images'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from remove" -s f -l force -d 'Also an image that is in use, whose files then stay, and by its id one of several names'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from tag" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand image; and __fish_seen_subcommand_from untag" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand images" -s f -l filter -d 'reference=GLOB, dangling=BOOL, label=KEY[=VALUE], before=IMAGE, since=IMAGE or until=TIME, which is a date or an age such as 24h' -r
complete -c sbx -n "__fish_sbx_using_subcommand images" -l sort -d 'What comes first: the newest, or the least of another field' -r -f -a "created\t''
id\t''
repository\t''
size\t''
tag\t''"
complete -c sbx -n "__fish_sbx_using_subcommand images" -l format -d 'json, or a template such as \'{{.ID}} {{.Size}}\' or \'table {{.ID}}\\t{{.Size}}\'' -r
complete -c sbx -n "__fish_sbx_using_subcommand images" -s a -l all -d 'Those that have no name and that another image is built on, too'
complete -c sbx -n "__fish_sbx_using_subcommand images" -s q -l quiet -d 'Ids only'
complete -c sbx -n "__fish_sbx_using_subcommand images" -l digests -d 'The digests of manifests, too'
complete -c sbx -n "__fish_sbx_using_subcommand images" -l no-trunc -d 'Whole ids'
complete -c sbx -n "__fish_sbx_using_subcommand images" -l json -d 'As JSON'
complete -c sbx -n "__fish_sbx_using_subcommand images" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand export" -s o -l output -d 'Where to; standard output without it' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand export" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand import" -s c -l change -d 'Set something in the image\'s configuration, as in a Dockerfile: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME or WORKDIR' -r
complete -c sbx -n "__fish_sbx_using_subcommand import" -s m -l message -d 'A comment for the image\'s history' -r
complete -c sbx -n "__fish_sbx_using_subcommand import" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t'A bar on a terminal, after a second'
json\t'Lines of JSON'
none\t'Not at all'"
complete -c sbx -n "__fish_sbx_using_subcommand import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sbx -n "__fish_sbx_using_subcommand inspect" -l type -d 'What to look for; all looks for a container first' -r -f -a "all\t''
container\t''
image\t''"
complete -c sbx -n "__fish_sbx_using_subcommand inspect" -s f -l format -d 'A template such as \'{{.Id}}\' or \'{{json .Config}}\'' -r
complete -c sbx -n "__fish_sbx_using_subcommand inspect" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand load" -s i -l input -d 'An OCI archive, a docker archive, the directory of an OCI layout, with :NAME for one image of several, or what skopeo writes to dir:; standard input without it' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand load" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t'A bar on a terminal, after a second'
json\t'Lines of JSON'
none\t'Not at all'"
complete -c sbx -n "__fish_sbx_using_subcommand load" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sbx -n "__fish_sbx_using_subcommand login" -s u -l username -d 'User name; asked for without it' -r
complete -c sbx -n "__fish_sbx_using_subcommand login" -l authfile -d 'The file to write to [default: $XDG_RUNTIME_DIR/containers/auth.json]' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand login" -l tls-verify -d 'Whether certificates are verified; false is for registries on this machine, also without TLS' -r -f -a "true\t''
false\t''"
complete -c sbx -n "__fish_sbx_using_subcommand login" -l password-stdin -d 'Read the password from standard input'
complete -c sbx -n "__fish_sbx_using_subcommand login" -l get-login -d 'Print who is logged in'
complete -c sbx -n "__fish_sbx_using_subcommand login" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand logout" -l authfile -d 'The file [default: $XDG_RUNTIME_DIR/containers/auth.json]' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand logout" -s a -l all -d 'All logins of the file'
complete -c sbx -n "__fish_sbx_using_subcommand logout" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and not __fish_seen_subcommand_from check convert diff ls schema show test" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and not __fish_seen_subcommand_from check convert diff ls schema show test" -f -a "check" -d 'Check profiles: keys, words, system calls, contradictions, and what they extend'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and not __fish_seen_subcommand_from check convert diff ls schema show test" -f -a "convert" -d 'Convert a filter between TOML and JSON, to standard output'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and not __fish_seen_subcommand_from check convert diff ls schema show test" -f -a "diff" -d 'Show what two profiles say differently'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and not __fish_seen_subcommand_from check convert diff ls schema show test" -f -a "ls" -d 'List the built-in profiles and yours'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and not __fish_seen_subcommand_from check convert diff ls schema show test" -f -a "schema" -d 'Print the JSON Schema of profiles, for editors'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and not __fish_seen_subcommand_from check convert diff ls schema show test" -f -a "show" -d 'Print a profile'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and not __fish_seen_subcommand_from check convert diff ls schema show test" -f -a "test" -d 'Try system calls on the filter that a start would install, and say which group decides'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from convert" -l to -d 'To which format: docker from TOML, toml from JSON, unless it is given' -r -f -a "docker\t''
oci\t''
toml\t''"
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from convert" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from diff" -l json -d 'Print as JSON'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from diff" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Print names only'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from ls" -l json -d 'Print as JSON'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from schema" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from show" -l resolved -d 'Every value, also those of the profiles that it extends'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from show" -l json -d 'With --resolved: as JSON'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from test" -l cap-add -d 'With a capability beyond the profile\'s' -r
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from test" -l cap-drop -d 'Without a capability of the profile\'s' -r
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from test" -l arch -d 'Through which table of calls, such as x86 for those of 32-bit programs' -r
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from test" -l json -d 'Print as JSON'
complete -c sbx -n "__fish_sbx_using_subcommand profile; and __fish_seen_subcommand_from test" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand ps" -s a -l all -d 'Those that have ended, too'
complete -c sbx -n "__fish_sbx_using_subcommand ps" -s q -l quiet -d 'Ids only'
complete -c sbx -n "__fish_sbx_using_subcommand ps" -l json -d 'As JSON'
complete -c sbx -n "__fish_sbx_using_subcommand ps" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand pull" -l policy -d 'Which image is wanted: the registry\'s, or the store\'s if it has one' -r -f -a "always\t'What the registry has now'
missing\t'Where the store has no such image'
newer\t'The registry\'s if it is another than the store\'s and can be had'
never\t'The store\'s, or nothing'"
complete -c sbx -n "__fish_sbx_using_subcommand pull" -l platform -d 'Which image of several, where it is not the one for this machine' -r
complete -c sbx -n "__fish_sbx_using_subcommand pull" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t'A bar on a terminal, after a second'
json\t'Lines of JSON'
none\t'Not at all'"
complete -c sbx -n "__fish_sbx_using_subcommand pull" -l creds -d 'Log in with USER[:PASSWORD], this once' -r
complete -c sbx -n "__fish_sbx_using_subcommand pull" -l authfile -d 'Logins are in this file [default: $XDG_RUNTIME_DIR/containers/auth.json, then podman\'s and docker\'s other places]' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand pull" -l tls-verify -d 'Whether certificates are verified; false is for registries on this machine, also without TLS' -r -f -a "true\t''
false\t''"
complete -c sbx -n "__fish_sbx_using_subcommand pull" -s q -l quiet -d 'Print the image ids only'
complete -c sbx -n "__fish_sbx_using_subcommand pull" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sbx -n "__fish_sbx_using_subcommand push" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t'A bar on a terminal, after a second'
json\t'Lines of JSON'
none\t'Not at all'"
complete -c sbx -n "__fish_sbx_using_subcommand push" -l digestfile -d 'Write the digest of what was pushed to a file' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand push" -l creds -d 'Log in with USER[:PASSWORD], this once' -r
complete -c sbx -n "__fish_sbx_using_subcommand push" -l authfile -d 'Logins are in this file [default: $XDG_RUNTIME_DIR/containers/auth.json, then podman\'s and docker\'s other places]' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand push" -l tls-verify -d 'Whether certificates are verified; false is for registries on this machine, also without TLS' -r -f -a "true\t''
false\t''"
complete -c sbx -n "__fish_sbx_using_subcommand push" -s q -l quiet -d 'Print nothing'
complete -c sbx -n "__fish_sbx_using_subcommand push" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sbx -n "__fish_sbx_using_subcommand rm" -s a -l all -d 'All that have ended'
complete -c sbx -n "__fish_sbx_using_subcommand rm" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand rmi" -s a -l all -d 'All images'
complete -c sbx -n "__fish_sbx_using_subcommand rmi" -s f -l force -d 'Also an image that is in use, whose files then stay, and by its id one of several names'
complete -c sbx -n "__fish_sbx_using_subcommand rmi" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand run" -l rootfs -d 'Use this directory as the root; with :O changes go to a throw-away overlay' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l read-only -d 'Mount the root read-only; /run, /tmp and /var/tmp become private tmpfs' -r -f -a "true\t''
false\t''"
complete -c sbx -n "__fish_sbx_using_subcommand run" -l pull -d 'When the image is pulled from its registry [default: missing]' -r -f -a "always\t'What the registry has now'
missing\t'Where the store has no such image'
newer\t'The registry\'s if it is another than the store\'s and can be had'
never\t'The store\'s, or nothing'"
complete -c sbx -n "__fish_sbx_using_subcommand run" -l platform -d 'The image for this platform; another one in the store counts as missing' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l storage -d 'What stacks an image\'s layers [default: native where the kernel can]' -r -f -a "native\t'The kernel\'s overlay file system'
fuse-overlayfs\t'The fuse-overlayfs program'"
complete -c sbx -n "__fish_sbx_using_subcommand run" -l upper -d 'Where changes to a stacked root go while it runs [default: disk]' -r -f -a "disk\t'A directory of the container'
tmpfs\t'Memory, which is gone with the sandbox'"
complete -c sbx -n "__fish_sbx_using_subcommand run" -s e -l env -d 'Set an environment variable; NAME alone takes the caller\'s value' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l env-file -d 'Read environment variables from a file, one NAME=VALUE a line' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand run" -s w -l workdir -d 'Working directory of the command' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand run" -s u -l user -d 'Run as this user: NAME|UID[:GROUP|GID], from the root\'s own passwd and group' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l group-add -d 'Add a supplementary group; keep-groups keeps the caller\'s' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l entrypoint -d 'Replace the image\'s entry point' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l init -d 'Run a small init as PID 1 that forwards signals and reaps children [default: with --host]' -r -f -a "true\t''
false\t''"
complete -c sbx -n "__fish_sbx_using_subcommand run" -l hostname -d 'Host name inside' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l ulimit -d 'A resource limit: NAME=SOFT[:HARD], -1 for unlimited' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l umask -d 'File mode creation mask' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l timeout -d 'End the command after this long: 90, 90s, 5m, 1h' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l stop-signal -d 'The signal that --timeout sends first' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l stop-timeout -d 'How long after the stop signal the command is killed' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l preserve-fds -d 'Pass this many descriptors beyond standard error' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l pidfile -d 'Write the command\'s process id, as the host sees it, to a file' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand run" -s v -l volume -d 'Mount a directory or file, SOURCE:TARGET[:OPTIONS], or a volume: NAME:TARGET[:OPTIONS], made where it does not exist, or TARGET alone for one that goes with the container' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l mount -d 'Mount in long form: type=bind|volume|image|tmpfs,source=...,target=...[,OPTION]...' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l tmpfs -d 'Mount a tmpfs: TARGET[:OPTIONS]' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l shm-size -d 'Size of /dev/shm' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l device -d 'Bind a device of the host: PATH[:TARGET[:PERMISSIONS]]' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l userns -d 'User namespace: host-root, keep-id[:uid=N,gid=N], nomap or host' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l uidmap -d 'Map user ids: INSIDE:OUTSIDE[:LENGTH], OUTSIDE counted as podman does' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l gidmap -d 'Map group ids' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l network -d 'Network: none or host' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l add-host -d 'Add a line to /etc/hosts: NAME:ADDRESS' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l profile -d 'Profile: a built-in name, a name of yours, or a file; of several, later ones are laid over' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l security-opt -d 'seccomp=FILE|unconfined, apparmor=LABEL|unconfined, no-new-privileges[=false], mask=PATH:..., unmask=ALL|PATH:...' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l cap-add -d 'Add a capability, or ALL' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l cap-drop -d 'Drop a capability, or ALL' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l sysctl -d 'Set a kernel parameter of the sandbox\'s own namespaces' -r
complete -c sbx -n "__fish_sbx_using_subcommand run" -l host -d 'Use the host\'s root, read-only, with a private /tmp and without /home, /root and /run'
complete -c sbx -n "__fish_sbx_using_subcommand run" -s i -l interactive -d 'Keep standard input open'
complete -c sbx -n "__fish_sbx_using_subcommand run" -s t -l tty -d 'Give the command a terminal of its own'
complete -c sbx -n "__fish_sbx_using_subcommand run" -l rm -d 'Remove the container when it ends'
complete -c sbx -n "__fish_sbx_using_subcommand run" -l env-host -d 'Pass the caller\'s whole environment'
complete -c sbx -n "__fish_sbx_using_subcommand run" -l project -d 'Mount the current directory at its own path, writable, and start there'
complete -c sbx -n "__fish_sbx_using_subcommand run" -l no-hosts -d 'Leave the root\'s own /etc/hosts'
complete -c sbx -n "__fish_sbx_using_subcommand run" -l explain -d 'Print the resolved plan with the source of each value, and do not run'
complete -c sbx -n "__fish_sbx_using_subcommand run" -l json -d 'With --explain: as JSON'
complete -c sbx -n "__fish_sbx_using_subcommand run" -l timings -d 'Print where the milliseconds of the start went'
complete -c sbx -n "__fish_sbx_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sbx -n "__fish_sbx_using_subcommand system; and not __fish_seen_subcommand_from check df prune" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand system; and not __fish_seen_subcommand_from check df prune" -f -a "check" -d 'Verify every digest of the store and every unpacked layer'
complete -c sbx -n "__fish_sbx_using_subcommand system; and not __fish_seen_subcommand_from check df prune" -f -a "df" -d 'Show what images, containers and volumes take on disk'
complete -c sbx -n "__fish_sbx_using_subcommand system; and not __fish_seen_subcommand_from check df prune" -f -a "prune" -d 'Remove containers that have ended and images that have no name'
complete -c sbx -n "__fish_sbx_using_subcommand system; and __fish_seen_subcommand_from check" -l repair -d 'Mend what can be mended: unpack damaged layers again, and pull what is damaged or missing'
complete -c sbx -n "__fish_sbx_using_subcommand system; and __fish_seen_subcommand_from check" -l json -d 'Print what was found as JSON'
complete -c sbx -n "__fish_sbx_using_subcommand system; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand system; and __fish_seen_subcommand_from df" -l format -d 'json, or a template such as \'{{.ID}} {{.Size}}\' or \'table {{.ID}}\\t{{.Size}}\'' -r
complete -c sbx -n "__fish_sbx_using_subcommand system; and __fish_seen_subcommand_from df" -s v -l verbose -d 'List each image, container and volume'
complete -c sbx -n "__fish_sbx_using_subcommand system; and __fish_seen_subcommand_from df" -l json -d 'As JSON'
complete -c sbx -n "__fish_sbx_using_subcommand system; and __fish_seen_subcommand_from df" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand system; and __fish_seen_subcommand_from prune" -l filter -d 'Only what has label=KEY[=VALUE] or is older than until=TIME, which is a date or an age such as 24h; of several filters all must hold' -r
complete -c sbx -n "__fish_sbx_using_subcommand system; and __fish_seen_subcommand_from prune" -s a -l all -d 'All images that no container uses'
complete -c sbx -n "__fish_sbx_using_subcommand system; and __fish_seen_subcommand_from prune" -l volumes -d 'Volumes that no container uses, too'
complete -c sbx -n "__fish_sbx_using_subcommand system; and __fish_seen_subcommand_from prune" -s f -l force -d 'Do not ask'
complete -c sbx -n "__fish_sbx_using_subcommand system; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand tag" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand untag" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand volume; and not __fish_seen_subcommand_from create export import inspect ls prune rm" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand volume; and not __fish_seen_subcommand_from create export import inspect ls prune rm" -f -a "create" -d 'Make a volume and print its name'
complete -c sbx -n "__fish_sbx_using_subcommand volume; and not __fish_seen_subcommand_from create export import inspect ls prune rm" -f -a "export" -d 'Write a volume\'s files as a tar'
complete -c sbx -n "__fish_sbx_using_subcommand volume; and not __fish_seen_subcommand_from create export import inspect ls prune rm" -f -a "import" -d 'Unpack a tar into a volume, over what is there'
complete -c sbx -n "__fish_sbx_using_subcommand volume; and not __fish_seen_subcommand_from create export import inspect ls prune rm" -f -a "inspect" -d 'Print what is known of volumes, as JSON'
complete -c sbx -n "__fish_sbx_using_subcommand volume; and not __fish_seen_subcommand_from create export import inspect ls prune rm" -f -a "ls" -d 'List volumes'
complete -c sbx -n "__fish_sbx_using_subcommand volume; and not __fish_seen_subcommand_from create export import inspect ls prune rm" -f -a "prune" -d 'Remove all volumes that no container uses'
complete -c sbx -n "__fish_sbx_using_subcommand volume; and not __fish_seen_subcommand_from create export import inspect ls prune rm" -f -a "rm" -d 'Remove volumes, with everything in them'
complete -c sbx -n "__fish_sbx_using_subcommand volume; and __fish_seen_subcommand_from create" -s l -l label -d 'Note something beside it' -r
complete -c sbx -n "__fish_sbx_using_subcommand volume; and __fish_seen_subcommand_from create" -l ignore -d 'Do not fail where the volume exists'
complete -c sbx -n "__fish_sbx_using_subcommand volume; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand volume; and __fish_seen_subcommand_from export" -s o -l output -d 'Where to [default: standard output]' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand volume; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand volume; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand volume; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand volume; and __fish_seen_subcommand_from ls" -s f -l filter -d 'Only those with name=PART, label=KEY[=VALUE] or dangling=BOOL; of several filters all must hold' -r
complete -c sbx -n "__fish_sbx_using_subcommand volume; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Names only'
complete -c sbx -n "__fish_sbx_using_subcommand volume; and __fish_seen_subcommand_from ls" -l json -d 'As JSON'
complete -c sbx -n "__fish_sbx_using_subcommand volume; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand volume; and __fish_seen_subcommand_from prune" -s f -l force -d 'Do not ask'
complete -c sbx -n "__fish_sbx_using_subcommand volume; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand volume; and __fish_seen_subcommand_from rm" -s a -l all -d 'All that no container uses'
complete -c sbx -n "__fish_sbx_using_subcommand volume; and __fish_seen_subcommand_from rm" -s f -l force -d 'Also those of containers that have ended and were kept; a missing volume is no error'
complete -c sbx -n "__fish_sbx_using_subcommand volume; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help'
complete -c sbx -n "__fish_sbx_using_subcommand save" -s o -l output -d 'Where to; standard output without it' -r -F
complete -c sbx -n "__fish_sbx_using_subcommand save" -l format -d 'What to write' -r -f -a "docker-archive\t'What docker save writes; layers as plain tars'
oci-archive\t'The tar of an OCI image layout'
oci-dir\t'An OCI image layout'
docker-dir\t'One image as Docker\'s manifest and its blobs (dir: of skopeo)'"
complete -c sbx -n "__fish_sbx_using_subcommand save" -l progress -d 'How progress is shown on standard error' -r -f -a "auto\t'A bar on a terminal, after a second'
json\t'Lines of JSON'
none\t'Not at all'"
complete -c sbx -n "__fish_sbx_using_subcommand save" -l compress -d 'Compress layers with gzip where they are not compressed; for a directory'
complete -c sbx -n "__fish_sbx_using_subcommand save" -s h -l help -d 'Print help (see more with \'--help\')'
