from thinkus.cli import main

main()
